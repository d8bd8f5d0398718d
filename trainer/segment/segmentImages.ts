/** Open-vocabulary semantic segmentation of labelled images by the arg-max over word maps, and naming of their regions. */
import { setImmediate } from 'node:timers/promises';
import { FileError } from '../checkpoints/fileError.ts';
import { type ImageFeatures, poolBoxes, poolRows } from '../dense/imageFeatures.ts';
import { maskPoolingRows } from '../dense/maskPooling.ts';
import type { Words } from '../dense/words.ts';
import type { EvaluationHooks } from '../evaluate/evaluateRegions.ts';
import { countSkipped, type SkipCounts } from '../evaluate/regionData.ts';
import { MaskResampler } from '../evaluate/regionMasks.ts';
import { decodeImage } from '../images/decode.ts';
import { unfittableReason } from '../images/geometry.ts';
import { ImageError } from '../images/imageError.ts';
import type { Raster } from '../images/raster.ts';
import { StepClock } from '../training/progress.ts';
import { ConfusionMatrix, confusionsOf, ignoredLabel } from './confusionMatrix.ts';
import type { ImageLabels, LabelledImage } from './labels.ts';
import type { OverlayImage } from './overlays.ts';
import { type SegmentOverlay, type SegmentSide, type SegmentSideReport, segmentSides } from './protocol.ts';
import { RegionNaming, regionScores } from './regionNaming.ts';
import type { SegmentEntry, SegmentedImage, SegmentLog, SideEntry } from './segmentLog.ts';
import { nameEveryPixel, type PlacedMap } from './wordMap.ts';

/** A model and the words it is asked with. */
export interface SegmentingModel {
  features: Pick<ImageFeatures, 'dense'>;
  patchSize: number;
  words: Words;
}

export interface SegmentRequest {
  models: Partial<Record<SegmentSide, SegmentingModel>> & { after: SegmentingModel };
  images: readonly LabelledImage[];
  /** Longest side of the image as the models see it, pixels. */
  size: number;
  skipBroken: boolean;
  /** Gets the first images as they are done. */
  overlays: { count: number; write: (image: OverlayImage) => Promise<SegmentOverlay> };
}

export interface SegmentResult {
  sides: Partial<Record<SegmentSide, Pick<SegmentSideReport, 'pixels' | 'naming'>>>;
  images: number;
  pixels: number;
  ignored: number;
  skipped: SkipCounts;
  overlays: SegmentOverlay[];
}

/** What one model has counted. */
class SideTally {
  readonly matrix: ConfusionMatrix;
  readonly boxes: RegionNaming;
  readonly masks: RegionNaming;

  constructor({ words: { names } }: SegmentingModel) {
    this.matrix = new ConfusionMatrix(names.length);
    this.boxes = new RegionNaming(names.length);
    this.masks = new RegionNaming(names.length);
  }

  add({ confusions, boxes, masks }: SideEntry, truths: readonly number[]): void {
    this.matrix.add(confusions);
    this.boxes.add(boxes, truths);
    this.masks.add(masks, truths);
  }

  report(): Pick<SegmentSideReport, 'pixels' | 'naming'> {
    const naming = { boxes: this.boxes.numbers(), masks: this.masks.numbers() };
    return { pixels: this.matrix.numbers(), naming };
  }
}

/** What has been counted of all images so far. */
class Tally {
  readonly #sides: ReadonlyMap<SegmentSide, SideTally>;
  readonly #result: SegmentResult = {
    sides: {},
    images: 0,
    pixels: 0,
    ignored: 0,
    skipped: {},
    overlays: [],
  };

  constructor(models: SegmentRequest['models']) {
    this.#sides = new Map(
      segmentSides.flatMap(side => (models[side] ? [[side, new SideTally(models[side])] as const] : [])),
    );
  }

  get images(): number {
    return this.#result.images;
  }

  add(entry: SegmentEntry): void {
    const result = this.#result;
    if ('skipped' in entry) {
      countSkipped(result.skipped, entry.skipped);
      return;
    }
    for (const [side, tally] of this.#sides) tally.add(entry.sides[side]!, entry.regions);
    result.images++;
    result.pixels += entry.pixels;
    result.ignored += entry.ignored;
    if (entry.overlay !== null) result.overlays.push(entry.overlay);
  }

  result(): SegmentResult {
    for (const [side, tally] of this.#sides) this.#result.sides[side] = tally.report();
    return this.#result;
  }
}

/**
 * Segments the images one after the other; what is held is one image and the counts. What the log has is counted again
 * and not computed.
 *
 * @returns null when it was stopped; what is complete stays in the log.
 * @throws with one clear line when the data is broken and that is not to be skipped.
 */
export async function segmentImages(
  request: SegmentRequest,
  log: SegmentLog,
  hooks: EvaluationHooks,
): Promise<SegmentResult | null> {
  const { images, models, overlays } = request;
  const tally = new Tally(models);
  for (const entry of log.past) tally.add(entry);
  const clock = new StepClock(images.length);
  for (const [index, labelled] of images.entries()) {
    if (index < log.past.length) continue;
    // Signals are heard here.
    await setImmediate();
    if (hooks.stopped()) return null;
    const started = performance.now();
    const write =
      tally.images < overlays.count
        ? (image: Omit<OverlayImage, 'index' | 'name'>) =>
            overlays.write({ index, name: labelled.image, ...image })
        : null;
    const entry = await entryOf(labelled, request, write);
    tally.add(entry);
    await log.add(entry);
    clock.add((performance.now() - started) / 1000);
    hooks.progress(index + 1, images.length, clock.remainingSeconds(index + 1));
  }
  return tally.result();
}

async function entryOf(
  labelled: LabelledImage,
  { models, size, skipBroken }: SegmentRequest,
  write: ((image: Omit<OverlayImage, 'index' | 'name'>) => Promise<SegmentOverlay>) | null,
): Promise<SegmentEntry> {
  const opened = await openImage(labelled, size).catch((error: unknown) => {
    if (!skipBroken || !(error instanceof ImageError || error instanceof FileError)) throw error;
    return null;
  });
  if (opened === null) return { skipped: 'image or labels unreadable' };
  const { image, truth } = opened;
  const named: OverlayImage['named'] = {};
  const sides: SegmentedImage['sides'] = {};
  for (const side of segmentSides) {
    const model = models[side];
    if (!model) continue;
    const segmented = await segmentImage(model, image, truth, size);
    named[side] = segmented.named;
    sides[side] = segmented.entry;
  }
  const ignored = truth.labels.reduce((count, label) => count + Number(label === ignoredLabel), 0);
  return {
    regions: truth.regions.map(region => region.class),
    pixels: truth.labels.length - ignored,
    ignored,
    overlay: (await write?.({ image, truth: truth.labels, named })) ?? null,
    sides,
  };
}

async function openImage(
  { file, read }: LabelledImage,
  size: number,
): Promise<{ image: Raster; truth: ImageLabels }> {
  const [image, truth] = [await decodeImage(file), await read()];
  if (image.width !== truth.width || image.height !== truth.height)
    throw new ImageError(
      file,
      `it has ${image.width} × ${image.height} pixels, its labels ${truth.width} × ${truth.height}`,
    );
  const reason = unfittableReason(image.width, image.height, size);
  if (reason !== null) throw new ImageError(file, reason);
  return { image, truth };
}

async function segmentImage(
  { features, patchSize, words }: SegmentingModel,
  image: Raster,
  truth: ImageLabels,
  size: number,
): Promise<{ named: Uint16Array; entry: SideEntry }> {
  const map: PlacedMap = { ...(await features.dense(image, size)), patchSize, size };
  const named = nameEveryPixel(map, words, image.width, image.height);
  const confusions = confusionsOf(truth.labels, named, words.names.length);
  const { regions } = truth;
  if (regions.length === 0)
    return { named, entry: { confusions, boxes: new Float32Array(), masks: new Float32Array() } };
  const boxes = poolBoxes(
    map,
    image,
    size,
    regions.map(({ box }) => box),
  );
  const masks = poolMasks(map, truth);
  return {
    named,
    entry: { confusions, boxes: regionScores(boxes, words), masks: regionScores(masks, words) },
  };
}

/** Dense features averaged over the regions' masks, brought to the map as the published evaluation does it. */
function poolMasks(
  { features, side }: PlacedMap,
  { width, height, map, regions }: ImageLabels,
): Float32Array {
  const resampler = new MaskResampler(width, height, side);
  const cells = side * side;
  const masks = new Uint8Array(regions.length * cells);
  regions.forEach(({ id }, index) => {
    masks.set(resampler.resample(map, id), index * cells);
  });
  return poolRows(maskPoolingRows(masks, cells), features, cells);
}
