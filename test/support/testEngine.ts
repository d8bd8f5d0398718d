import type { Engine } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { OnnxRuntimeWebGpuEngine } from '../../trainer/engines/onnx/onnxRuntimeWebGpu.ts';

/** Names the engine on which the tests of operations and models run: `cpu`, the default, or `webgpu`. */
export const testEngineVariable = 'CLIPSELF_TEST_ENGINE';

export const testsOnCard = (): boolean => process.env[testEngineVariable] === 'webgpu';

/** The engine that the tests of operations and models are run on. */
export async function startTestEngine(): Promise<Engine> {
  const name = process.env[testEngineVariable] ?? 'cpu';
  if (name === 'cpu') return new OnnxRuntimeCpuEngine(1);
  if (name === 'webgpu') return OnnxRuntimeWebGpuEngine.start();
  throw new Error(`${testEngineVariable} is cpu or webgpu, got '${name}'`);
}
