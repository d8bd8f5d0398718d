import type { Engine } from './engine.ts';

/** Engines by the name that `--engine` takes. */
export const engineNames = ['auto', 'cpu', 'webgpu', 'tensorflow'] as const;

/**
 * Starts an engine. `auto` takes the fastest that works here.
 *
 * @param threads CPU threads; 0 lets the engine decide.
 */
export async function createEngine(name: string, threads: number): Promise<Engine> {
  if (!engineNames.some(known => known === name))
    throw new Error(`there is no engine '${name}': choose one of ${engineNames.join(', ')}`);
  // Loaded when asked for: a command that needs no engine should not pay for it.
  if (name === 'webgpu') {
    const { OnnxRuntimeWebGpuEngine } = await import('./onnx/onnxRuntimeWebGpu.ts');
    return OnnxRuntimeWebGpuEngine.start();
  }
  if (name === 'tensorflow') {
    const { loadTensorflow } = await import('./tensorflow/loadTensorflow.ts');
    return (await loadTensorflow(threads)).engine;
  }
  const { OnnxRuntimeCpuEngine } = await import('./onnx/onnxRuntimeCpu.ts');
  return new OnnxRuntimeCpuEngine(threads);
}
