import { type DeviceTensor, disposeAll, type Engine, readFloats } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { gatherRows } from '../graph/operations/gather.ts';
import { concat, reshape } from '../graph/operations/layout.ts';
import { Value } from '../graph/value.ts';
import type { VisionTower } from '../models/visionTower.ts';
import { clipSelfLoss } from './clipself.ts';
import type { EmbeddingStore } from './embeddingStore.ts';
import {
  boxesOf,
  boxWeights,
  type DistillationBatch,
  type KeptCrops,
  type RegionLoss,
  type RegionShape,
  type RegionTargets,
} from './regionLoss.ts';
import type { StepImages } from './stepPeers.ts';

/**
 * Crops whose embeddings are kept go through the teacher so many at a time, the last ones filled up with black: then an
 * embedding has the same bits whichever crops travel with it, and a resumed run goes on to the same bits.
 */
const keptAtOnce = 16;

/** CLIPSelf: a region is compared with what the frozen teacher makes of its crop. */
export class TeacherTargets implements RegionTargets {
  readonly #engine: Engine;
  readonly #teacher: VisionTower;
  readonly #programs: ProgramCache;
  readonly #cropSize: number;
  readonly #cosineWeight: number;
  readonly #cropsAtOnce: number;
  readonly #store: EmbeddingStore | null;

  /**
   * @param programs those of crops, whose number changes from step to step.
   * @param cropsAtOnce crops that go through the teacher together.
   * @param store embeddings of earlier steps; null where none are kept.
   */
  constructor(
    engine: Engine,
    teacher: VisionTower,
    programs: ProgramCache,
    cropSize: number,
    cosineWeight: number,
    cropsAtOnce: number,
    store: EmbeddingStore | null = null,
  ) {
    this.#store = store;
    this.#cropsAtOnce = cropsAtOnce;
    this.#engine = engine;
    this.#teacher = teacher;
    this.#programs = programs;
    this.#cropSize = cropSize;
    this.#cosineWeight = cosineWeight;
  }

  async lossOf(part: DistillationBatch, whole: StepImages, shape: RegionShape): Promise<RegionLoss> {
    const { batch, tokens, maxBoxes } = shape;
    const teacher =
      part.kept && this.#store
        ? await this.#recall(part, part.kept, this.#store, shape)
        : await this.#embedAll(part, shape);
    const weights = boxWeights(part, maxBoxes, this.#cosineWeight / boxesOf(whole));
    return {
      key: `${batch}x${tokens}x${maxBoxes}`,
      studentInput: 'dense',
      graph: () => clipSelfLoss(shape),
      feeds: {
        teacher,
        pooling: this.#engine.upload([batch, maxBoxes, tokens], part.pooling),
        weights: this.#engine.upload([batch, maxBoxes], weights),
      },
    };
  }

  async #embedAll(part: DistillationBatch, shape: RegionShape): Promise<DeviceTensor> {
    const embeddings = await this.#embed(part);
    try {
      return await this.#spread(embeddings, part, shape);
    } finally {
      embeddings.dispose();
    }
  }

  /** `[batch, maxBoxes, D]` from the store, and from the teacher where it lacks a region. */
  async #recall(
    part: DistillationBatch,
    { regions, cropOf }: KeptCrops,
    store: EmbeddingStore,
    { batch, maxBoxes, embeddingDimension }: RegionShape,
  ): Promise<DeviceTensor> {
    // Of a region that comes twice, since its image stands in for another one, the crop came once.
    const lacking = cropOf.filter((place, box) => place >= 0 && !store.has(regions[box]!));
    const fresh = await this.#embedFilled(part.crops, lacking);
    cropOf.forEach((place, box) => {
      const embedding = fresh.get(place);
      if (embedding && regions[box]! >= 0) store.set(regions[box]!, embedding);
    });
    const teacher = new Float32Array(batch * maxBoxes * embeddingDimension);
    let box = 0;
    part.boxCounts.forEach((count, image) => {
      for (let row = image * maxBoxes; row < image * maxBoxes + count; row++, box++)
        teacher.set(fresh.get(cropOf[box]!) ?? store.get(regions[box]!), row * embeddingDimension);
    });
    return this.#engine.upload([batch, maxBoxes, embeddingDimension], teacher);
  }

  /** Embeddings `[D]` of some crops by their places. */
  async #embedFilled(crops: Float32Array, places: readonly number[]): Promise<Map<number, Float32Array>> {
    const side = this.#cropSize;
    const numbers = 3 * side * side;
    const size = Math.min(keptAtOnce, this.#cropsAtOnce);
    const embeddings = new Map<number, Float32Array>();
    for (let first = 0; first < places.length; first += size) {
      const together = places.slice(first, first + size);
      const pixels = new Float32Array(size * numbers);
      together.forEach((place, row) => {
        pixels.set(crops.subarray(place * numbers, (place + 1) * numbers), row * numbers);
      });
      const uploaded = this.#engine.upload([size, 3, side, side], pixels);
      try {
        const embedded = await this.#teacher.encodeImage(uploaded);
        const values = await readFloats(this.#engine, embedded);
        embedded.dispose();
        const dimension = values.length / size;
        together.forEach((place, row) => {
          embeddings.set(place, values.slice(row * dimension, (row + 1) * dimension));
        });
      } finally {
        uploaded.dispose();
      }
    }
    return embeddings;
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
