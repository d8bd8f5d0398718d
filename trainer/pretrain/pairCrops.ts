/** Image–text pairs of Emoji World: crops of scenes, each of another class. */
import { cropImage, type PixelBox, teacherImage } from '../images/geometry.ts';
import { type ImageNormalisation, normaliseInto } from '../images/normalise.ts';
import { createRaster, type Raster } from '../images/raster.ts';
import { type KeyedRandom, keyedRandom } from '../random.ts';
import { worldClasses } from '../world/classes.ts';
import { between } from '../world/colour.ts';
import type { StyleSprites } from '../world/icons.ts';
import { compressed } from '../world/jpeg.ts';
import { paintScene, type Scene, type SceneSettings, sceneDefaults } from '../world/scene.ts';
import type { StyleName } from '../world/styles.ts';
import { type VisibleSegment, visibleSegments } from '../world/truth.ts';

/** What the crops of a run are drawn from. */
export interface CropSettings {
  seed: number;
  styles: readonly StyleName[];
  batch: number;
  /** Side of a crop in pixels. */
  cropSize: number;
  sceneSize: number;
  normalisation: ImageNormalisation;
  /** Sentences that a class can be put into. */
  prompts: number;
  /** Batches in which scenes grow from few large things to many small ones. */
  rampSteps: number;
}

/** Pairs that are told apart together. */
export interface CropBatch {
  /** [batch, 3, cropSize, cropSize], normalised. */
  pixels: Float32Array;
  /** Place of each crop's class in `worldClasses`; no class comes twice. */
  labels: Int32Array;
  /** Which sentence the class is put into. */
  prompts: Int32Array;
}

export interface Crop {
  /** Place in `worldClasses`. */
  label: number;
  /** RGB [cropSize, cropSize, 3], fitted as CLIPSelf's teacher sees a crop. */
  pixels: Uint8Array;
}

/** A thing of which less can be seen, or that is smaller, is no example of its class. */
const leastVisible = 0.5;
const leastSide = 8;

export const isExample = ({ isThing, visible, box: [x0, y0, x1, y1] }: VisibleSegment): boolean =>
  isThing && visible >= leastVisible && Math.max(x1 - x0, y1 - y0) >= leastSide;

export function cropOf({ rgb, width, height }: Scene, box: PixelBox, size: number): Uint8Array {
  const image: Raster = createRaster(width, height, 'RGB', rgb);
  return teacherImage(cropImage(image, box), size);
}

/** How scenes look after `share` of the ramp: from few large things to what a data set has, and beyond. */
function sceneSettings(share: number, sceneSize: number): SceneSettings & { things: number } {
  const from = (start: number, end: number): number => start + share * (end - start);
  return {
    ...sceneDefaults,
    longestSide: sceneSize,
    smallestThing: from(0.45, 0.16),
    largestThing: from(0.75, 0.55),
    overlap: from(0.1, 0.4),
    variation: from(0.3, 1),
    things: Math.round(from(3, 9)),
  };
}

/** Scenes painted for one batch at most: far more than it takes. */
const mostScenes = 500;

/**
 * The pairs of a batch (from 0): scenes are painted, each of things that the batch lacks, until their crops fill it.
 * Everything follows from seed and place.
 *
 * @param sprites Of the settings' styles.
 */
export async function buildCropBatch(
  settings: CropSettings,
  sprites: ReadonlyMap<StyleName, StyleSprites>,
  step: number,
): Promise<CropBatch> {
  const { seed, batch, cropSize, normalisation, prompts } = settings;
  const random = keyedRandom(seed, 'pairs', step);
  const crops = await drawCrops(settings, sprites, step, random);
  const pixels = new Float32Array(batch * 3 * cropSize * cropSize);
  for (const [index, crop] of crops.entries())
    normaliseInto(crop.pixels, normalisation, pixels, index * 3 * cropSize * cropSize);
  return {
    pixels,
    labels: Int32Array.from(crops, ({ label }) => label),
    prompts: Int32Array.from(crops, () => random.uint(prompts)),
  };
}

async function drawCrops(
  settings: CropSettings,
  sprites: ReadonlyMap<StyleName, StyleSprites>,
  step: number,
  random: KeyedRandom,
): Promise<Crop[]> {
  const { styles, batch, sceneSize, cropSize, rampSteps } = settings;
  const share = rampSteps === 0 ? 1 : Math.min(1, step / rampSteps);
  const { things: count, ...scenery } = sceneSettings(share, sceneSize);
  const wanted = random.shuffle(worldClasses.map((_, index) => index + 1));
  const crops = new Map<number, Crop>();
  for (let painted = 0; crops.size < batch; painted++) {
    if (painted === mostScenes)
      throw new Error(`${mostScenes} scenes do not show ${batch} classes; choose a smaller --batch`);
    const style = styles[random.uint(styles.length)]!;
    const own = sprites.get(style)!;
    const missing = wanted.filter(category => !crops.has(category - 1) && own.has(category));
    // The last scenes are filled up with things that the batch has already.
    const others = random.shuffle([...own.keys()]).filter(category => !missing.includes(category));
    const things = [...missing, ...others].slice(0, count);
    const scene = await compressed(paintScene(random, own, random.shuffle(things), scenery), random);
    for (const segment of visibleSegments(scene)) {
      const label = segment.category - 1;
      if (crops.size === batch || crops.has(label)) continue;
      const box = segment.isThing ? thingBox(scene, segment, random) : stuffBox(scene, segment, random);
      if (box) crops.set(label, { label, pixels: cropOf(scene, box, cropSize) });
    }
  }
  return [...crops.values()];
}

/** The box of a thing, often with some surroundings, now and then a little short; null when it is no example. */
function thingBox({ width, height }: Scene, segment: VisibleSegment, random: KeyedRandom): PixelBox | null {
  if (!isExample(segment)) return null;
  const [x0, y0, x1, y1] = segment.box;
  const margin = (length: number): number =>
    length * Math.max(0, between(random, -0.2, 0.25)) - length * 0.06 * random.float();
  return [
    Math.max(0, x0 - margin(x1 - x0)),
    Math.max(0, y0 - margin(y1 - y0)),
    Math.min(width, x1 + margin(x1 - x0)),
    Math.min(height, y1 + margin(y1 - y0)),
  ];
}

/** Windows tried for a piece of stuff, and the share of their pixels that it must fill. */
const windowAttempts = 10;
const windowShare = 0.6;

/** A window that shows mostly this stuff; null when none was found. */
function stuffBox(scene: Scene, { id, box }: VisibleSegment, random: KeyedRandom): PixelBox | null {
  const { width, height, ids } = scene;
  for (let attempt = 0; attempt < windowAttempts; attempt++) {
    const side = between(random, 0.2, 0.6) * Math.max(width, height);
    const [across, down] = [Math.min(width, side * between(random, 0.7, 1.4)), Math.min(height, side)];
    const x0 = Math.round(between(random, box[0], Math.max(box[0], box[2] - across)));
    const y0 = Math.round(between(random, box[1], Math.max(box[1], box[3] - down)));
    const [x1, y1] = [Math.min(width, x0 + Math.round(across)), Math.min(height, y0 + Math.round(down))];
    let own = 0;
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) own += Number(ids[y * width + x] === id);
    if (own >= windowShare * (x1 - x0) * (y1 - y0) && own > 0) return [x0, y0, x1, y1];
  }
  return null;
}
