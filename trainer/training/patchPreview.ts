import type { StepResult } from '../distill/distiller.ts';
import type { TrainingBatch } from '../images/batch.ts';
import type { PatchPreview } from '../protocol.ts';

/** The patches of a step's first image, as `preview.json` holds them. */
export function patchPreview(step: number, batch: TrainingBatch, { cosines }: StepResult): PatchPreview {
  const { file, member, width, height, rows, columns, boxes } = batch.sources[0]!;
  return {
    step,
    time: Date.now(),
    image: file,
    ...(member ? { member } : {}),
    width,
    height,
    rows,
    columns,
    boxes,
    cosines: cosines[0]!,
  };
}
