import { readSafetensors } from '../checkpoints/safetensors.ts';
import type { DeviceTensor, Engine } from '../engines/engine.ts';

/** Uploads the image tower's tensors of a weights file as float32, by checkpoint name. */
export async function uploadVisionParameters(
  engine: Engine,
  weightsFile: string,
): Promise<Map<string, DeviceTensor>> {
  const only = (name: string): boolean => name.startsWith('visual.');
  const { tensors } = await readSafetensors(weightsFile, { only, asFloat32: true });
  const parameters = new Map<string, DeviceTensor>();
  for (const [name, { shape, data }] of tensors)
    if (data instanceof Float32Array) parameters.set(name, engine.upload(shape, data));
  return parameters;
}
