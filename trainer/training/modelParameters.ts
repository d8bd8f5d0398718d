import { withCheckpoint } from '../checkpoints/checkpoint.ts';
import { requireFinite } from '../checkpoints/finiteWeights.ts';
import { type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';

/** Uploads the image tower's tensors of a weights file as float32, by checkpoint name. */
export const uploadVisionParameters = (
  engine: Engine,
  weightsFile: string,
): Promise<Map<string, DeviceTensor>> =>
  uploadParameters(engine, weightsFile, name => name.startsWith('visual.'));

/** Uploads the floating-point tensors of a weights file that are wanted as float32, by checkpoint name. */
export async function uploadParameters(
  engine: Engine,
  weightsFile: string,
  wanted: (name: string) => boolean,
): Promise<Map<string, DeviceTensor>> {
  const parameters = new Map<string, DeviceTensor>();
  try {
    await withCheckpoint(weightsFile, {}, async checkpoint => {
      for (const name of checkpoint.tensors.keys()) {
        if (!wanted(name)) continue;
        const { shape, data } = await checkpoint.read(name, { asFloat32: true });
        if (!(data instanceof Float32Array)) continue;
        requireFinite(checkpoint.file, name, data);
        parameters.set(name, engine.upload(shape, data));
      }
    });
  } catch (error) {
    disposeAll(parameters.values());
    throw error;
  }
  return parameters;
}
