import { type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { gatherRows } from '../graph/operations/gather.ts';
import { reshape } from '../graph/operations/layout.ts';
import { Value } from '../graph/value.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
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

/** Multiplications that a processor makes in the time that compiling the programs for a number of crops takes. */
const compilingWork = 2e9;

/** The number of crops is rounded up by this many at most. */
const mostRounding = 32;

/**
 * The number of crops that a teacher is run on for `count` of them. Every number has programs of its own, and a small tower
 * embeds some crops more sooner than those are compiled.
 */
export function roundedCrops(count: number, architecture: VisionArchitecture, side: number): number {
  const { width, layers, mlpWidth, patchSize } = architecture;
  const tokens = (side / patchSize) ** 2;
  const cropWork = tokens * layers * (4 * width ** 2 + 2 * width * mlpWidth);
  const rounding = Math.min(Math.max(Math.floor(compilingWork / cropWork), 1), mostRounding);
  return Math.ceil(count / rounding) * rounding;
}

/** CLIPSelf: a region is compared with what the frozen teacher makes of its crop. */
export class TeacherTargets implements RegionTargets {
  readonly #engine: Engine;
  readonly #teacher: VisionTower;
  readonly #programs: ProgramCache;
  readonly #cropSize: number;
  readonly #cosineWeight: number;

  /** @param programs those of crops, whose number changes from step to step. */
  constructor(
    engine: Engine,
    teacher: VisionTower,
    programs: ProgramCache,
    cropSize: number,
    cosineWeight: number,
  ) {
    this.#engine = engine;
    this.#teacher = teacher;
    this.#programs = programs;
    this.#cropSize = cropSize;
    this.#cosineWeight = cosineWeight;
  }

  /** All crops of a pass go through the teacher together. */
  async lossOf(part: DistillationBatch, whole: StepImages, shape: RegionShape): Promise<RegionLoss> {
    const { batch, tokens, maxBoxes } = shape;
    const crops = this.#uploadCrops(part);
    const embeddings = await this.#teacher.encodeImage(crops);
    const teacher = await this.#spread(embeddings, part, shape);
    disposeAll([crops, embeddings]);
    const weights = boxWeights(part, maxBoxes, this.#cosineWeight / boxesOf(whole));
    return {
      key: `${batch}x${tokens}x${maxBoxes}`,
      graph: () => clipSelfLoss(shape),
      feeds: {
        teacher,
        pooling: this.#engine.upload([batch, maxBoxes, tokens], part.pooling),
        weights: this.#engine.upload([batch, maxBoxes], weights),
      },
    };
  }

  /** Black crops follow, up to a number for which there likely is a program; nobody looks at their embeddings. */
  #uploadCrops(part: DistillationBatch): DeviceTensor {
    const side = this.#cropSize;
    const count = roundedCrops(boxesOf(part), this.#teacher.architecture, side);
    const pixels = new Float32Array(count * 3 * side * side);
    pixels.set(part.crops);
    return this.#engine.upload([count, 3, side, side], pixels);
  }

  /**
   * `[boxes, D]` → `[batch, maxBoxes, D]` without a way over the host: rows beyond an image's boxes repeat the first box,
   * and count nothing since their weight is 0.
   */
  async #spread(
    embeddings: DeviceTensor,
    { boxCounts }: DistillationBatch,
    { batch, maxBoxes, embeddingDimension }: RegionShape,
  ): Promise<DeviceTensor> {
    const rows = new Int32Array(batch * maxBoxes);
    const spread = [batch, maxBoxes, embeddingDimension];
    if (boxesOf({ boxCounts }) === 0)
      return this.#engine.upload(spread, new Float32Array(rows.length * embeddingDimension));
    let first = 0;
    boxCounts.forEach((count, image) => {
      for (let box = 0; box < count; box++) rows[image * maxBoxes + box] = first + box;
      first += count;
    });
    const { shape } = embeddings;
    const program = await this.#programs.get(`spread ${shape[0]} over ${batch}x${maxBoxes}`, () => {
      const chosen = gatherRows(
        Value.input('embeddings', shape),
        Value.input('rows', [rows.length], 'int32'),
      );
      return { teacher: reshape(chosen, spread) };
    });
    const index = this.#engine.upload([rows.length], rows);
    const { teacher } = await program.run({ embeddings, rows: index });
    index.dispose();
    return teacher!;
  }
}
