import { readCheckpoint, underSourceNames } from '../checkpoints/checkpoint.ts';
import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { configurationMetadataKey, type ModelFiles } from '../checkpoints/modelFiles.ts';
import { toOpenClipConfiguration } from '../checkpoints/openClipConfiguration.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { blend } from '../distill/blend.ts';
import type { Distiller } from '../distill/distiller.ts';
import { type Engine, readFloats } from '../engines/engine.ts';
import { version } from '../version.ts';

/**
 * Writes the α-blend of student and teacher as a whole checkpoint under the source's names: what users take away.
 * It carries its own configuration, so that the file alone loads again.
 */
export async function writeStudentFile(
  file: string,
  model: ModelFiles,
  engine: Engine,
  distiller: Distiller,
  trainable: readonly string[],
  alpha: number,
): Promise<void> {
  const trained = new Set(trainable);
  const { tensors } = await readCheckpoint(model.weightsFile, { asFloat32: true });
  const blended = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) {
    const { shape, data } = tensor;
    if (!(data instanceof Float32Array)) {
      blended.set(name, tensor);
      continue;
    }
    const student = trained.has(name)
      ? await readFloats(engine, distiller.studentParameters.get(name)!)
      : data;
    // In place: one copy of the weights is enough beside those of the run.
    data.set(blend(student, data, alpha));
    blended.set(name, { shape, dtype: 'float32', data });
  }
  const configuration = toOpenClipConfiguration({
    architecture: model.architecture,
    normalisation: model.normalisation,
  });
  await writeSafetensors(file, await underSourceNames(model.weightsFile, blended), {
    format: 'pt',
    [configurationMetadataKey]: JSON.stringify(configuration),
    clipself: JSON.stringify({ version, blend: alpha }),
  });
}
