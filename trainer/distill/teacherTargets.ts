import { type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { gatherRows } from '../graph/operations/gather.ts';
import { concat, reshape } from '../graph/operations/layout.ts';
import { Value } from '../graph/value.ts';
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
  readonly #programs: ProgramCache;
  readonly #cropSize: number;
  readonly #cosineWeight: number;
  readonly #cropsAtOnce: number;

  /**
   * @param programs those of crops, whose number changes from step to step.
   * @param cropsAtOnce crops that go through the teacher together.
   */
  constructor(
    engine: Engine,
    teacher: VisionTower,
    programs: ProgramCache,
    cropSize: number,
    cosineWeight: number,
    cropsAtOnce: number,
  ) {
    this.#cropsAtOnce = cropsAtOnce;
    this.#engine = engine;
    this.#teacher = teacher;
    this.#programs = programs;
    this.#cropSize = cropSize;
    this.#cosineWeight = cosineWeight;
  }

  async lossOf(part: DistillationBatch, whole: StepImages, shape: RegionShape): Promise<RegionLoss> {
    const { batch, tokens, maxBoxes } = shape;
    const embeddings = await this.#embed(part);
    const teacher = await this.#spread(embeddings, part, shape);
    embeddings.dispose();
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

  /** Embeddings of all crops, `[boxes, D]`. */
  async #embed(part: DistillationBatch): Promise<DeviceTensor> {
    const [count, side] = [boxesOf(part), this.#cropSize];
    const numbers = 3 * side * side;
    const groups: DeviceTensor[] = [];
    try {
      for (let first = 0; first < count || groups.length === 0; first += this.#cropsAtOnce) {
        const size = Math.min(this.#cropsAtOnce, count - first);
        const pixels = part.crops.subarray(first * numbers, (first + size) * numbers);
        const crops = this.#engine.upload([size, 3, side, side], pixels);
        try {
          groups.push(await this.#teacher.encodeImage(crops));
        } finally {
          crops.dispose();
        }
      }
      if (groups.length === 1) return groups.pop()!;
      const names = groups.map((_, index) => `group/${index}`);
      const program = await this.#programs.get(
        `join ${groups.map(({ shape }) => shape[0]).join(' ')}`,
        () => ({
          all: concat(
            groups.map(({ shape }, index) => Value.input(names[index]!, shape)),
            0,
          ),
        }),
      );
      const feeds = Object.fromEntries(groups.map((group, index) => [names[index]!, group]));
      return (await program.run(feeds)).all!;
    } finally {
      disposeAll(groups);
    }
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
