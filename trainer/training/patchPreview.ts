import { writeJson } from '../checkpoints/jsonFile.ts';
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

/** Milliseconds between two writings. */
const previewInterval = 1000;

/** Writes `preview.json`, at most once a second. */
export class PreviewFile {
  readonly #file: string;
  readonly #totalSteps: number;
  #latest = Number.NEGATIVE_INFINITY;

  /** @param totalSteps The last of them is always written. */
  constructor(file: string, totalSteps: number) {
    this.#file = file;
    this.#totalSteps = totalSteps;
  }

  async write(step: number, batch: TrainingBatch, result: StepResult): Promise<void> {
    const due = performance.now() - this.#latest >= previewInterval;
    if (!due && step !== this.#totalSteps) return;
    this.#latest = performance.now();
    await writeJson(this.#file, patchPreview(step, batch, result));
  }
}
