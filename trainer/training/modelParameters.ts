import { withCheckpoint } from '../checkpoints/checkpoint.ts';
import { requireFinite } from '../checkpoints/finiteWeights.ts';
import type { DeviceTensor, Engine } from '../engines/engine.ts';

/** Uploads the image tower's tensors of a weights file as float32, by checkpoint name. */
export async function uploadVisionParameters(
  engine: Engine,
  weightsFile: string,
): Promise<Map<string, DeviceTensor>> {
  const parameters = new Map<string, DeviceTensor>();
  await withCheckpoint(weightsFile, {}, async checkpoint => {
    for (const name of checkpoint.tensors.keys()) {
      if (!name.startsWith('visual.')) continue;
      const { shape, data } = await checkpoint.read(name, { asFloat32: true });
      if (!(data instanceof Float32Array)) continue;
      requireFinite(checkpoint.file, name, data);
      parameters.set(name, engine.upload(shape, data));
    }
  });
  return parameters;
}
