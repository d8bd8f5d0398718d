/**
 * Prints what changes where freed memory stays with the process: page faults of a run whose tensors take 32 to 64 MB
 * each, and whether a program of small tensors gets an arena of its own. `after` is as before where it is not to stay.
 */
import { InferenceSession } from 'onnxruntime-node';
import { disposeAll, type Engine } from '../../trainer/engines/engine.ts';
import { keepFreedMemory } from '../../trainer/engines/onnx/glibcHeap.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { add, exponential, multiply } from '../../trainer/graph/operations/arithmetic.ts';
import { slice } from '../../trainer/graph/operations/layout.ts';
import { total } from '../../trainer/graph/operations/reduction.ts';
import { Value } from '../../trainer/graph/value.ts';

const shape = [4000, 4000];
const x = Value.input('x', shape);
const sums = [0, 500, 1000].map(from => {
  const part = exponential(slice(x, 0, from, 4000 - from));
  return total(multiply(add(part, part), part));
});

/** Of one run, once memory that the first ones took is there. */
async function faultsOfRun(engine: Engine): Promise<number> {
  const program = await engine.compile({ y: add(add(sums[0]!, sums[1]!), sums[2]!) });
  const feeds = { x: engine.upload(shape, new Float32Array(shape[0]! * shape[1]!).fill(0.5)) };
  let before = 0;
  for (let run = 0; run < 6; run++) {
    if (run === 3) before = process.resourceUsage().minorPageFault;
    disposeAll(await program.run(feeds));
  }
  return (process.resourceUsage().minorPageFault - before) / 3;
}

async function smallGetsArena(engine: Engine): Promise<boolean | undefined> {
  const { create } = InferenceSession;
  let arena: boolean | undefined;
  InferenceSession.create = async (...args: unknown[]) => {
    arena = (args[1] as InferenceSession.SessionOptions).enableCpuMemArena;
    return Reflect.apply(create, InferenceSession, args);
  };
  await engine.compile({ y: exponential(Value.input('small', [2])) });
  InferenceSession.create = create;
  return arena;
}

async function measure(sharesMemory: boolean) {
  const engine = new OnnxRuntimeCpuEngine(1, sharesMemory);
  const measured = { faults: await faultsOfRun(engine), arena: await smallGetsArena(engine) };
  await engine.dispose();
  return measured;
}

const before = await measure(false);
console.log(JSON.stringify({ before, after: await measure(keepFreedMemory()) }));
