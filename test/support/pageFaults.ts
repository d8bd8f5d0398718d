/**
 * Prints what changes when the engine expects steps: page faults of a run whose tensors take 32 to 64 MB each, and
 * whether a program of small tensors gets an arena of its own.
 */
import { InferenceSession } from 'onnxruntime-node';
import { disposeAll } from '../../trainer/engines/engine.ts';
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
const engine = new OnnxRuntimeCpuEngine(1);
const program = await engine.compile({ y: add(add(sums[0]!, sums[1]!), sums[2]!) });
const feeds = { x: engine.upload(shape, new Float32Array(shape[0]! * shape[1]!).fill(0.5)) };

/** Of one run, once memory that the first ones took is there. */
async function faultsOfRun(): Promise<number> {
  let before = 0;
  for (let run = 0; run < 6; run++) {
    if (run === 3) before = process.resourceUsage().minorPageFault;
    disposeAll(await program.run(feeds));
  }
  return (process.resourceUsage().minorPageFault - before) / 3;
}

async function smallGetsArena(): Promise<boolean | undefined> {
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

const measure = async () => ({ faults: await faultsOfRun(), arena: await smallGetsArena() });
const before = await measure();
await engine.expectSteps();
console.log(JSON.stringify({ before, after: await measure() }));
await engine.dispose();
