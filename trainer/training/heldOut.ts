import { setImmediate } from 'node:timers/promises';
import { withCheckpoint } from '../checkpoints/checkpoint.ts';
import { blend } from '../distill/blend.ts';
import type { Distiller } from '../distill/distiller.ts';
import { type DeviceTensor, type Engine, readFloats } from '../engines/engine.ts';
import { buildBatch, type PatchSettings, type SkippedImage, type TrainingBatch } from '../images/batch.ts';
import type { EvaluationRecord } from '../protocol.ts';

/** The name under which the agreement on held-out patches is recorded. */
export const heldOutCosine = 'heldOut.cosine';

/** The agreement before training and the latest one, as a run recorded them; null where none was. */
export function heldOutAgreement(evaluations: readonly EvaluationRecord[]): {
  before: number | null;
  after: number | null;
} {
  const compared = evaluations.filter(record => heldOutCosine in record.eval);
  const first = compared.find(record => record.eval.step === 0);
  return {
    before: first?.eval[heldOutCosine] ?? null,
    after: compared.at(-1)?.eval[heldOutCosine] ?? null,
  };
}

/** Student/teacher agreement on patches of images that were not trained on. */
export interface HeldOutResult {
  /** Mean cosine over all patches; NaN when there are none. */
  cosine: number;
  patches: number;
  /** Images that could not be used; they do not count. */
  skipped: SkippedImage[];
}

/**
 * Mean cosine between the pooled dense features of the blend α·student + (1 − α)·teacher and the teacher's embeddings
 * of the crops, over one grid of patches of each held-out image. The grids follow from the seed, so that every
 * evaluation of a run sees the same patches.
 *
 * @param weightsFile what the teacher came from.
 * @param stopped asked between images; true ends the evaluation with null.
 */
export async function evaluateHeldOut(
  engine: Engine,
  distiller: Distiller,
  weightsFile: string,
  patches: PatchSettings,
  alpha: number,
  stopped: () => boolean,
): Promise<HeldOutResult | null> {
  const blended = await blendOnDevice(engine, distiller, weightsFile, alpha);
  try {
    let sum = 0;
    let count = 0;
    const skipped: SkippedImage[] = [];
    for (let position = 0; position < patches.files.length; position++) {
      await setImmediate();
      if (stopped()) return null;
      const batch = await ownBatch(patches, position, skipped);
      if (!batch) continue;
      for (const cosine of (await distiller.compare(batch, blended.parameters)).flat()) {
        sum += cosine;
        count++;
      }
    }
    return { cosine: sum / count, patches: count, skipped };
  } finally {
    for (const tensor of blended.own) tensor.dispose();
  }
}

/** The batch of one held-out image; null, with the image named in `skipped`, when it cannot be used. */
async function ownBatch(
  patches: PatchSettings,
  position: number,
  skipped: SkippedImage[],
): Promise<TrainingBatch | null> {
  let batch: TrainingBatch;
  try {
    batch = await buildBatch({ ...patches, epoch: 0, positions: [position] });
  } catch (error) {
    // Not one of them can be used. What is measured beside the training does not end it.
    const reason = error instanceof Error ? error.message : String(error);
    skipped.push({ file: 'the held-out images', reason });
    return null;
  }
  skipped.push(...batch.skipped);
  // Another image in its place would count twice.
  const { file } = batch.sources[0]!;
  return batch.skipped.some(other => other.file !== file) ? null : batch;
}

/** The blend's parameters; those in `own` were made for it. The teacher's come from their file: an engine may have given them up. */
async function blendOnDevice(
  engine: Engine,
  distiller: Distiller,
  weightsFile: string,
  alpha: number,
): Promise<{ parameters: Map<string, DeviceTensor>; own: DeviceTensor[] }> {
  const parameters = new Map(distiller.studentParameters);
  const own: DeviceTensor[] = [];
  await withCheckpoint(weightsFile, {}, async checkpoint => {
    for (const name of distiller.trainable) {
      const student = parameters.get(name)!;
      const teacher = (await checkpoint.read(name, { asFloat32: true })).data as Float32Array;
      const tensor = engine.upload(student.shape, blend(await readFloats(engine, student), teacher, alpha));
      parameters.set(name, tensor);
      own.push(tensor);
    }
  });
  return { parameters, own };
}
