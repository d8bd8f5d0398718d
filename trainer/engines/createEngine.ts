import type { Engine } from './engine.ts';
import { physicalCores } from './physicalCores.ts';

/** Engines that exist. */
export const concreteEngines = ['cpu', 'webgpu', 'tensorflow'] as const;

export type EngineName = (typeof concreteEngines)[number];

/** What `auto` weighs against the CPU. */
export const enginesBeyondCpu: readonly EngineName[] = concreteEngines.filter(name => name !== 'cpu');

/** Engines without numbers of 16 bits. */
export const enginesOfFp32: readonly EngineName[] = ['tensorflow'];

/** What `--engine` takes. */
export const engineNames = ['auto', ...concreteEngines] as const;

/**
 * Starts an engine. Here `auto` is the CPU: what reads words or serves many models is small or shares the machine with
 * a training. Who has a model to run asks `openEngine`, which measures.
 *
 * @param threads CPU threads; 0 takes one for each physical core.
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
  const [{ OnnxRuntimeCpuEngine }, { keepFreedMemory }] = await Promise.all([
    import('./onnx/onnxRuntimeCpu.ts'),
    import('./onnx/glibcHeap.ts'),
  ]);
  return new OnnxRuntimeCpuEngine(threads === 0 ? physicalCores() : threads, keepFreedMemory());
}
