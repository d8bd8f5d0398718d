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
import { ConfusionMatrix, ignoredLabel } from './confusionMatrix.ts';
import type { ImageLabels, LabelledImage } from './labels.ts';
import type { OverlayImage } from './overlays.ts';
import { type SegmentSide, type SegmentSideReport, segmentSides } from './protocol.ts';
import { RegionNaming } from './regionNaming.ts';
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
  overlays: { count: number; write: (image: OverlayImage) => Promise<void> };
}

export interface SegmentResult {
  sides: Partial<Record<SegmentSide, Pick<SegmentSideReport, 'pixels' | 'naming'>>>;
  images: number;
  pixels: number;
  ignored: number;
  skipped: SkipCounts;
}

/** What one model has counted. */
class SideTally {
  readonly matrix: ConfusionMatrix;
  readonly boxes: RegionNaming;
  readonly masks: RegionNaming;

  constructor({ words }: SegmentingModel) {
    this.matrix = new ConfusionMatrix(words.names.length);
    this.boxes = new RegionNaming(words);
    this.masks = new RegionNaming(words);
  }

  report(): Pick<SegmentSideReport, 'pixels' | 'naming'> {
    const naming = { boxes: this.boxes.numbers(), masks: this.masks.numbers() };
    return { pixels: this.matrix.numbers(), naming };
  }
}

/**
 * Segments the images one after the other; what is held is one image and the counts.
 *
 * @returns null when it was stopped.
 * @throws with one clear line when the data is broken and that is not to be skipped.
 */
export async function segmentImages(
  request: SegmentRequest,
  hooks: EvaluationHooks,
): Promise<SegmentResult | null> {
  const { images, models, overlays, skipBroken } = request;
  const tallies = new Map(
    segmentSides.flatMap(side => (models[side] ? [[side, new SideTally(models[side])] as const] : [])),
  );
  const clock = new StepClock(images.length);
  const result: SegmentResult = { sides: {}, images: 0, pixels: 0, ignored: 0, skipped: {} };
  for (const [index, labelled] of images.entries()) {
    // Signals are heard here.
    await setImmediate();
    if (hooks.stopped()) return null;
    const started = performance.now();
    const opened = await openImage(labelled, request.size).catch((error: unknown) => {
      if (!skipBroken || !(error instanceof ImageError || error instanceof FileError)) throw error;
      countSkipped(result.skipped, 'image or labels unreadable');
      return null;
    });
    if (opened) {
      const { image, truth } = opened;
      const named: OverlayImage['named'] = {};
      for (const [side, tally] of tallies)
        named[side] = await segmentImage(models[side]!, tally, image, truth, request.size);
      const ignored = truth.labels.reduce((count, label) => count + Number(label === ignoredLabel), 0);
      result.ignored += ignored;
      result.pixels += truth.labels.length - ignored;
      if (result.images++ < overlays.count)
        await overlays.write({ index, name: labelled.image, image, truth: truth.labels, named });
    }
    clock.add((performance.now() - started) / 1000);
    hooks.progress(index + 1, images.length, clock.remainingSeconds(index + 1));
  }
  for (const [side, tally] of tallies) result.sides[side] = tally.report();
  return result;
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
  tally: SideTally,
  image: Raster,
  truth: ImageLabels,
  size: number,
): Promise<Uint16Array> {
  const map: PlacedMap = { ...(await features.dense(image, size)), patchSize, size };
  const named = nameEveryPixel(map, words, image.width, image.height);
  tally.matrix.add(truth.labels, named);
  const { regions } = truth;
  if (regions.length === 0) return named;
  const truths = regions.map(region => region.class);
  const boxes = regions.map(({ box }) => box);
  tally.boxes.add(poolBoxes(map, image, size, boxes), truths);
  tally.masks.add(poolMasks(map, truth), truths);
  return named;
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
