/** Zero-shot accuracy on crops of unseen scenes, drawing style by drawing style. */
import { setImmediate } from 'node:timers/promises';
import { type DeviceTensor, type Engine, readFloats } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { type ImageNormalisation, normaliseInto } from '../images/normalise.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';
import { normaliseRows } from '../text/classEmbeddings.ts';
import { thingClasses } from '../world/classes.ts';
import { iconStyles, type StyleName, styleNames } from '../world/styles.ts';
import { evaluationCrops } from './evaluationCrops.ts';
import type { Crop } from './pairCrops.ts';

/** Crops that go through the image tower together. */
const mostCrops = 64;

/** How the crops of a style were named. */
export interface StyleScore {
  /** Crops of each thing, in the order of `thingClasses`. */
  readonly counts: readonly number[];
  /** Of those, crops whose most similar class is their own. */
  readonly right: readonly number[];
}

/** Share of crops named rightly. */
export function accuracyOf({ counts, right }: StyleScore): number {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return sum(right) / sum(counts);
}

/** Measures image towers on crops that it holds. Dispose of it when done. */
export class ZeroShotEvaluation {
  readonly #engine: Engine;
  readonly #architecture: VisionArchitecture;
  readonly #normalisation: ImageNormalisation;
  readonly #crops: ReadonlyMap<StyleName, readonly Crop[]>;
  readonly #programs: ProgramCache;
  readonly #interpolations: PositionInterpolations;

  private constructor(
    engine: Engine,
    architecture: VisionArchitecture,
    normalisation: ImageNormalisation,
    crops: ReadonlyMap<StyleName, readonly Crop[]>,
  ) {
    this.#engine = engine;
    this.#architecture = architecture;
    this.#normalisation = normalisation;
    this.#crops = crops;
    this.#programs = new ProgramCache(engine);
    this.#interpolations = new PositionInterpolations(engine, architecture);
  }

  /**
   * Renders the crops.
   *
   * @param count Of each style.
   * @throws IconError when the icons are not installed.
   */
  static async create(
    engine: Engine,
    { architecture, normalisation }: { architecture: VisionArchitecture; normalisation: ImageNormalisation },
    styles: readonly StyleName[],
    count: number,
    seed: number,
  ): Promise<ZeroShotEvaluation> {
    const crops = new Map<StyleName, readonly Crop[]>();
    for (const style of styles)
      crops.set(style, await evaluationCrops(style, count, architecture.imageSize, seed));
    return new ZeroShotEvaluation(engine, architecture, normalisation, crops);
  }

  /**
   * Names every crop among the things.
   *
   * @param parameters Of the image tower, by checkpoint name.
   * @param classes Directions of the things, `[64, D]`.
   * @param stopped Asked between batches; true ends the evaluation with null.
   */
  async measure(
    parameters: ReadonlyMap<string, DeviceTensor>,
    classes: Float32Array,
    stopped: () => boolean,
  ): Promise<Map<StyleName, StyleScore> | null> {
    const scores = new Map<StyleName, StyleScore>();
    for (const [style, crops] of this.#crops) {
      const [counts, right] = [thingClasses.map(() => 0), thingClasses.map(() => 0)];
      for (let start = 0; start < crops.length; start += mostCrops) {
        await setImmediate();
        if (stopped()) return null;
        const some = crops.slice(start, start + mostCrops);
        const names = await this.#name(parameters, classes, some);
        for (const [index, { label }] of some.entries()) {
          counts[label]!++;
          if (names[index] === label) right[label]!++;
        }
      }
      scores.set(style, { counts, right });
    }
    return scores;
  }

  async dispose(): Promise<void> {
    this.#interpolations.dispose();
    await this.#programs.dispose();
  }

  /** The class that each crop is most similar to. */
  async #name(
    parameters: ReadonlyMap<string, DeviceTensor>,
    classes: Float32Array,
    crops: readonly Crop[],
  ): Promise<number[]> {
    const { imageSize, embeddingDimension } = this.#architecture;
    const pixels = new Float32Array(crops.length * 3 * imageSize ** 2);
    for (const [index, crop] of crops.entries())
      normaliseInto(crop.pixels, this.#normalisation, pixels, index * 3 * imageSize ** 2);
    const tower = new VisionTower(this.#architecture, parameters, this.#programs, this.#interpolations);
    const input = this.#engine.upload([crops.length, 3, imageSize, imageSize], pixels);
    const output = await tower.encodeImage(input);
    const embeddings = await readFloats(this.#engine, output);
    input.dispose();
    output.dispose();
    normaliseRows(embeddings, embeddingDimension);
    return crops.map((_, index) =>
      nearest(embeddings.subarray(index * embeddingDimension, (index + 1) * embeddingDimension), classes),
    );
  }
}

/** Row of `rows` with the largest product. */
function nearest(vector: Float32Array, rows: Float32Array): number {
  let best = { row: -1, product: Number.NEGATIVE_INFINITY };
  for (let row = 0; row * vector.length < rows.length; row++) {
    let product = 0;
    for (let index = 0; index < vector.length; index++)
      product += vector[index]! * rows[row * vector.length + index]!;
    if (product > best.product) best = { row, product };
  }
  return best.row;
}

/**
 * Accuracies as fractions of 1, by dotted name: `zeroShot.<style>`, and the means over the styles trained on and over
 * the others.
 */
export function recordedScores(
  scores: ReadonlyMap<StyleName, StyleScore>,
  trained: readonly StyleName[],
): Record<string, number> {
  const accuracies = [...scores].map(([style, score]) => [style, accuracyOf(score)] as const);
  const mean = (chosen: (style: StyleName) => boolean): number[] => {
    const values = accuracies.filter(([style]) => chosen(style)).map(([, accuracy]) => accuracy);
    return values.length === 0 ? [] : [values.reduce((sum, value) => sum + value, 0) / values.length];
  };
  const means = {
    'zeroShot.trained': mean(style => trained.includes(style)),
    'zeroShot.heldOut': mean(style => !trained.includes(style)),
  };
  return Object.fromEntries([
    ...Object.entries(means).flatMap(([name, values]) => values.map(value => [name, value] as const)),
    ...accuracies.map(([style, accuracy]) => [`zeroShot.${style}`, accuracy] as const),
  ]);
}

/** `noto 83.1 %, twemoji (held out) 51.2 %`. */
export const describeScores = (recorded: Readonly<Record<string, number>>): string =>
  styleNames
    .flatMap(style => {
      const accuracy = recorded[`zeroShot.${style}`];
      const note = iconStyles[style].heldOut ? ' (held out)' : '';
      return accuracy === undefined ? [] : [`${style}${note} ${(100 * accuracy).toFixed(1)} %`];
    })
    .join(', ');
