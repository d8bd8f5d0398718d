import { createEngine, type EngineName } from '../engines/createEngine.ts';
import { readFloats } from '../engines/engine.ts';
import { probeWebGpu } from '../engines/onnx/webGpuProbe.ts';
import { findInstallation } from '../engines/tensorflow/installation.ts';
import { tryTensorflow } from '../engines/tensorflow/tryTensorflow.ts';
import { matmul } from '../graph/operations/product.ts';
import { Value } from '../graph/value.ts';

/** Whether an engine works here. */
export interface EngineReport {
  engine: EngineName;
  works: boolean;
  /** What it runs on, or why it does not run. */
  detail: string;
}

/** Tries an engine on a small product whose result is known. */
export async function probeEngine(name: EngineName): Promise<EngineReport> {
  if (name === 'webgpu') {
    // A broken driver ends the process that loads it: let that be another.
    const probe = await probeWebGpu();
    if (!probe.works) return { engine: name, works: false, detail: probe.reason };
  }
  try {
    const engine = await createEngine(name, 0);
    try {
      const shape = [2, 2];
      const program = await engine.compile({
        product: matmul(Value.input('a', shape), Value.input('b', shape)),
      });
      const [a, b] = [Float32Array.of(1, 2, 3, 4), Float32Array.of(5, 6, 7, 8)];
      const { product } = await program.run({ a: engine.upload(shape, a), b: engine.upload(shape, b) });
      const found = [...(await readFloats(engine, product!))].join(', ');
      const right = found === '19, 22, 43, 50';
      return {
        engine: name,
        works: right,
        detail: right ? `${engine.version}${await cardRemark(name)}` : `gives a wrong product: ${found}`,
      };
    } finally {
      await engine.dispose();
    }
  } catch (error) {
    return { engine: name, works: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

/** Why a TensorFlow that was installed for cards computes on none; it says so when it is started anew with that question. */
async function cardRemark(name: EngineName): Promise<string> {
  if (name !== 'tensorflow') return '';
  const state = await findInstallation();
  if (!state.installed || state.installation.cuda === null) return '';
  const { folder, package: tfjs } = state.installation;
  const { noCard } = await tryTensorflow(folder, tfjs, new AbortController().signal);
  return noCard === null ? '' : `, on the processor: ${noCard}`;
}
