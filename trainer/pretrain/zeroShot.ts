/** Zero-shot accuracy on crops of unseen scenes, drawing style by drawing style. */
import { setImmediate } from 'node:timers/promises';
import { type DeviceTensor, type Engine, readFloats } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { normaliseInto } from '../images/normalise.ts';
import { TextTower } from '../models/textTower.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';
import { keyedRandom } from '../random.ts';
import { normaliseRows } from '../text/classEmbeddings.ts';
import { meanDirections } from '../text/ensemble.ts';
import { thingClasses } from '../world/classes.ts';
import { loadStyle } from '../world/icons.ts';
import { compressed } from '../world/jpeg.ts';
import { paintScene, sceneDefaults } from '../world/scene.ts';
import { iconStyles, type StyleName, styleNames } from '../world/styles.ts';
import { visibleSegments } from '../world/truth.ts';
import { type Crop, cropOf, isExample } from './pairCrops.ts';
import type { PretrainModel } from './pretrainModel.ts';

/** Keys the scenes of evaluations: no training draws from it, whatever its seed. */
const evaluationKey = 'evaluation scene';

/** Things of an evaluated scene at least, and how many more there may be. */
const [fewestThings, moreThings] = [4, 6];

/** Crops that go through the image tower together. */
const mostCrops = 64;

/**
 * Crops of things from scenes of one style with the looks of a written data set: as many of each class as possible,
 * the same for the same seed.
 */
export async function evaluationCrops(
  style: StyleName,
  count: number,
  cropSize: number,
  seed: number,
): Promise<Crop[]> {
  const sprites = await loadStyle(style);
  const quota = Math.ceil(count / sprites.size);
  const taken = new Map<number, number>();
  const crops: Crop[] = [];
  for (let index = 0; crops.length < count; index++) {
    const random = keyedRandom(seed, evaluationKey, style, index);
    const things = random.shuffle([...sprites.keys()]);
    const missing = things.filter(category => (taken.get(category - 1) ?? 0) < quota);
    const chosen = missing.slice(0, fewestThings + random.uint(moreThings));
    const scene = await compressed(paintScene(random, sprites, chosen, sceneDefaults), random);
    for (const segment of visibleSegments(scene)) {
      const label = segment.category - 1;
      if (!isExample(segment) || crops.length === count) continue;
      taken.set(label, (taken.get(label) ?? 0) + 1);
      crops.push({ label, pixels: cropOf(scene, segment.box, cropSize) });
    }
  }
  return crops;
}

/** Accuracy over crops, as fractions of 1, by dotted name. */
export type ZeroShotScores = Record<string, number>;

/** Measures a model in training; holds the crops. Dispose of it when done. */
export class ZeroShotEvaluation {
  readonly #engine: Engine;
  readonly #model: PretrainModel;
  readonly #crops: ReadonlyMap<StyleName, readonly Crop[]>;
  readonly #programs: ProgramCache;
  readonly #interpolations: PositionInterpolations;

  private constructor(engine: Engine, model: PretrainModel, crops: ReadonlyMap<StyleName, readonly Crop[]>) {
    this.#engine = engine;
    this.#model = model;
    this.#crops = crops;
    this.#programs = new ProgramCache(engine);
    this.#interpolations = new PositionInterpolations(engine, model.encoder.image);
  }

  /** Renders the crops of every style. */
  static async create(
    engine: Engine,
    model: PretrainModel,
    count: number,
    seed: number,
  ): Promise<ZeroShotEvaluation> {
    const crops = new Map<StyleName, readonly Crop[]>();
    for (const style of styleNames)
      crops.set(style, await evaluationCrops(style, count, model.encoder.image.imageSize, seed));
    return new ZeroShotEvaluation(engine, model, crops);
  }

  /**
   * Share of crops whose most similar class among the 64 things is their own: by style as `zeroShot.<style>`, and the
   * means over the styles trained on and those held out.
   *
   * @param trained Styles that the run trains on.
   * @param stopped Asked between batches; true ends the evaluation with null.
   */
  async measure(
    parameters: ReadonlyMap<string, DeviceTensor>,
    trained: readonly StyleName[],
    stopped: () => boolean,
  ): Promise<ZeroShotScores | null> {
    const classes = await this.#classDirections(parameters);
    const byStyle = new Map<StyleName, number>();
    for (const [style, crops] of this.#crops) {
      let right = 0;
      for (let start = 0; start < crops.length; start += mostCrops) {
        await setImmediate();
        if (stopped()) return null;
        right += await this.#countRight(parameters, classes, crops.slice(start, start + mostCrops));
      }
      byStyle.set(style, right / crops.length);
    }
    return summarise(byStyle, trained);
  }

  async dispose(): Promise<void> {
    this.#interpolations.dispose();
    await this.#programs.dispose();
  }

  /** Directions of the things, `[64, D]`: each the mean over all sentences. */
  async #classDirections(parameters: ReadonlyMap<string, DeviceTensor>): Promise<Float32Array> {
    const { text } = this.#model.encoder;
    const tower = new TextTower(this.#engine, text, parameters, this.#programs);
    const { prompts, tokens } = this.#model.words;
    const counts = thingClasses.map((_, label) => prompts[label]!.length);
    const texts = counts.flatMap((count, label) =>
      Array.from({ length: count }, (_, prompt) => tokens(label, prompt)),
    );
    return meanDirections(await tower.embed(texts), counts, text.embeddingDimension);
  }

  async #countRight(
    parameters: ReadonlyMap<string, DeviceTensor>,
    classes: Float32Array,
    crops: readonly Crop[],
  ): Promise<number> {
    const { encoder, configuration } = this.#model;
    const { imageSize, embeddingDimension } = encoder.image;
    const pixels = new Float32Array(crops.length * 3 * imageSize ** 2);
    for (const [index, crop] of crops.entries())
      normaliseInto(crop.pixels, configuration.normalisation, pixels, index * 3 * imageSize ** 2);
    const tower = new VisionTower(encoder.image, parameters, this.#programs, this.#interpolations);
    const input = this.#engine.upload([crops.length, 3, imageSize, imageSize], pixels);
    const output = await tower.encodeImage(input);
    const embeddings = await readFloats(this.#engine, output);
    input.dispose();
    output.dispose();
    normaliseRows(embeddings, embeddingDimension);
    return crops.filter(({ label }, index) => {
      const own = embeddings.subarray(index * embeddingDimension, (index + 1) * embeddingDimension);
      return nearest(own, classes) === label;
    }).length;
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

function summarise(byStyle: ReadonlyMap<StyleName, number>, trained: readonly StyleName[]): ZeroShotScores {
  const mean = (styles: readonly StyleName[]): number =>
    styles.reduce((sum, style) => sum + byStyle.get(style)!, 0) / styles.length;
  const unseen = styleNames.filter(style => !trained.includes(style));
  return {
    'zeroShot.trained': mean(trained),
    ...(unseen.length > 0 ? { 'zeroShot.heldOut': mean(unseen) } : {}),
    ...Object.fromEntries([...byStyle].map(([style, accuracy]) => [`zeroShot.${style}`, accuracy])),
  };
}

/** `noto 83.1 %, twemoji (held out) 51.2 %`. */
export const describeScores = (scores: ZeroShotScores): string =>
  styleNames
    .map(style => {
      const note = iconStyles[style].heldOut ? ' (held out)' : '';
      return `${style}${note} ${(100 * scores[`zeroShot.${style}`]!).toFixed(1)} %`;
    })
    .join(', ');
