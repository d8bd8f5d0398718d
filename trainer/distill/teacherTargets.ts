import { disposeAll, type Engine, readFloats } from '../engines/engine.ts';
import type { VisionTower } from '../models/visionTower.ts';
import { clipSelfLoss } from './clipself.ts';
import {
  boxesOf,
  boxWeights,
  type DistillationBatch,
  type RegionLoss,
  type RegionShape,
  type RegionTargets,
} from './regionLoss.ts';
import type { StepImages } from './stepPeers.ts';

/** CLIPSelf: a region is compared with what the frozen teacher makes of its crop. */
export class TeacherTargets implements RegionTargets {
  readonly #engine: Engine;
  readonly #teacher: VisionTower;
  readonly #cropSize: number;
  readonly #cosineWeight: number;

  constructor(engine: Engine, teacher: VisionTower, cropSize: number, cosineWeight: number) {
    this.#engine = engine;
    this.#teacher = teacher;
    this.#cropSize = cropSize;
    this.#cosineWeight = cosineWeight;
  }

  /** All crops of a pass go through the teacher together. */
  async lossOf(part: DistillationBatch, whole: StepImages, shape: RegionShape): Promise<RegionLoss> {
    const { batch, tokens, maxBoxes, embeddingDimension } = shape;
    const crops = this.#engine.upload([boxesOf(part), 3, this.#cropSize, this.#cropSize], part.crops);
    const embedded = await this.#teacher.encodeImage(crops);
    const embeddings = await readFloats(this.#engine, embedded);
    disposeAll([crops, embedded]);

    const teacher = new Float32Array(batch * maxBoxes * embeddingDimension);
    let first = 0;
    part.boxCounts.forEach((count, image) => {
      const rows = embeddings.subarray(first * embeddingDimension, (first + count) * embeddingDimension);
      teacher.set(rows, image * maxBoxes * embeddingDimension);
      first += count;
    });
    const weights = boxWeights(part, maxBoxes, this.#cosineWeight / boxesOf(whole));
    return {
      key: `${batch}x${tokens}x${maxBoxes}`,
      graph: () => clipSelfLoss(shape),
      feeds: {
        teacher: this.#engine.upload([batch, maxBoxes, embeddingDimension], teacher),
        pooling: this.#engine.upload([batch, maxBoxes, tokens], part.pooling),
        weights: this.#engine.upload([batch, maxBoxes], weights),
      },
    };
  }
}
