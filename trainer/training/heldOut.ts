import { setImmediate } from 'node:timers/promises';
import { blend } from '../distill/blend.ts';
import type { Distiller } from '../distill/distiller.ts';
import { type DeviceTensor, type Engine, readFloats } from '../engines/engine.ts';
import { buildBatch, type PatchSettings } from '../images/batch.ts';

/** Student/teacher agreement on patches of images that were not trained on. */
export interface HeldOutResult {
  /** Mean cosine over all patches. */
  cosine: number;
  patches: number;
}

/**
 * Mean cosine between the pooled dense features of the blend α·student + (1 − α)·teacher and the teacher's embeddings
 * of the crops, over one grid of patches of each held-out image. The grids follow from the seed, so that every
 * evaluation of a run sees the same patches.
 *
 * @param stopped asked between images; true ends the evaluation with null.
 */
export async function evaluateHeldOut(
  engine: Engine,
  distiller: Distiller,
  patches: PatchSettings,
  alpha: number,
  stopped: () => boolean,
): Promise<HeldOutResult | null> {
  const blended = await blendOnDevice(engine, distiller, alpha);
  try {
    let sum = 0;
    let count = 0;
    for (let position = 0; position < patches.files.length; position++) {
      await setImmediate();
      if (stopped()) return null;
      const batch = await buildBatch({ ...patches, epoch: 0, positions: [position] });
      for (const cosine of (await distiller.compare(batch, blended.parameters)).flat()) {
        sum += cosine;
        count++;
      }
    }
    return { cosine: sum / count, patches: count };
  } finally {
    for (const tensor of blended.own) tensor.dispose();
  }
}

async function blendOnDevice(
  engine: Engine,
  distiller: Distiller,
  alpha: number,
): Promise<{ parameters: Map<string, DeviceTensor>; own: DeviceTensor[] }> {
  const parameters = new Map(distiller.studentParameters);
  const own: DeviceTensor[] = [];
  for (const name of distiller.trainable) {
    const [student, teacher] = [parameters.get(name)!, distiller.teacherParameters.get(name)!];
    const data = blend(await readFloats(engine, student), await readFloats(engine, teacher), alpha);
    const tensor = engine.upload(student.shape, data);
    parameters.set(name, tensor);
    own.push(tensor);
  }
  return { parameters, own };
}
