/** From image files to the tensors of one CLIPSelf training step. */

import { pixelsToCells, roiAlignRows } from '../dense/roiPooling.ts';
import { drawGridPatches, enlargeBox, fractionsToPixels } from '../distill/gridPatches.ts';
import { epochOrder, replacementIndices } from '../distill/sampler.ts';
import { keyedRandom } from '../random.ts';
import { decodeImage } from './decode.ts';
import {
  cropImage,
  degenerateCropReason,
  fitLongestSide,
  studentImage,
  teacherImage,
  unfittableReason,
} from './geometry.ts';
import { ImageError } from './imageError.ts';
import { type ImageNormalisation, normaliseInto } from './normalise.ts';
import type { Raster } from './raster.ts';

/** Images with a shorter side are not used for training. */
export const minimumSide = 10;

export interface PatchSettings {
  /** Every image of the training set, in an order that stays the same over the whole run. */
  files: readonly string[];
  seed: number;
  /** Side of the padded student image in pixels. */
  size: number;
  /** Side of the teacher's crops in pixels. */
  cropSize: number;
  /** Side of a vision transformer's patch in pixels; the feature map has ⌊size / patchSize⌋ cells a side. */
  patchSize: number;
  maxSplit: number;
  maxBoxes: number;
  cropScale: number;
  normalisation: ImageNormalisation;
}

export interface BatchRequest extends PatchSettings {
  /** Epoch, from 0. */
  epoch: number;
  /** Places in the order of the epoch, one per image of the batch. */
  positions: readonly number[];
}

/** Where the patches of one image of a batch come from. */
export interface PatchSource {
  file: string;
  width: number;
  height: number;
  rows: number;
  columns: number;
  /** Grid cells used, x0, y0, x1, y1 in pixels of the file. */
  boxes: [number, number, number, number][];
}

export interface SkippedImage {
  file: string;
  reason: string;
}

export interface TrainingBatch {
  /** Student images [B, 3, size, size], normalised. */
  images: Float32Array;
  /** Teacher crops [K, 3, cropSize, cropSize], normalised; K is the sum of `boxCounts`. */
  crops: Float32Array;
  /** Patches of each image. */
  boxCounts: number[];
  /** RoIAlign rows [B, maxBoxes, cells of the feature map]; rows beyond an image's count are zero. */
  pooling: Float32Array;
  sources: PatchSource[];
  /** Images that could not be used and were replaced, and patches that were left out. */
  skipped: SkippedImage[];
}

/** An image ready for the batch. */
interface Sample {
  source: PatchSource;
  /** RGB [size, size, 3]. */
  student: Uint8Array;
  /** RGB [cropSize, cropSize, 3] each. */
  crops: Uint8Array[];
  /** [boxes, cells]. */
  pooling: Float32Array;
}

/**
 * Builds the batch of the given positions. The same request on the same files gives the same bits. An image that
 * cannot be used is replaced by another one; throws when no image of the training set can be used.
 */
export async function buildBatch(request: BatchRequest): Promise<TrainingBatch> {
  const { files, seed, epoch, positions } = request;
  if (files.length === 0) throw new Error('there are no images to train on');
  const order = epochOrder(seed, epoch, files.length);
  const skipped: SkippedImage[] = [];
  const samples: Sample[] = [];
  for (const position of positions) {
    const index = order[position];
    if (index === undefined) throw new Error(`position ${position} is beyond the ${files.length} images`);
    samples.push(await usableSample(request, position, index, skipped));
  }
  return { ...assemble(request, samples), skipped };
}

async function usableSample(
  request: BatchRequest,
  position: number,
  index: number,
  skipped: SkippedImage[],
): Promise<Sample> {
  const tried = new Set<number>();
  let problem: ImageError | null = null;
  for (const candidate of candidates(request, position, index)) {
    if (tried.has(candidate)) continue;
    tried.add(candidate);
    try {
      return await prepareSample(request, position, request.files[candidate]!, skipped);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      problem ??= error;
      skipped.push({ file: error.file, reason: error.reason });
    }
  }
  throw new Error(
    `None of the ${tried.size} images can be used for training; the first one tried: ${problem?.message}`,
  );
}

function* candidates({ seed, epoch, files }: BatchRequest, position: number, index: number) {
  yield index;
  yield* replacementIndices(seed, epoch, position, files.length);
}

async function prepareSample(
  request: BatchRequest,
  position: number,
  file: string,
  skipped: SkippedImage[],
): Promise<Sample> {
  const image = await decodeImage(file);
  const { width, height } = image;
  const { size, seed, epoch, maxSplit, maxBoxes } = request;
  if (Math.min(width, height) < minimumSide) {
    throw new ImageError(file, `${width}×${height} pixels are too few: each side needs ${minimumSide}`);
  }
  const unfittable = unfittableReason(width, height, size);
  if (unfittable !== null) throw new ImageError(file, unfittable);

  const random = keyedRandom(seed, 'patches', epoch, position);
  const grid = drawGridPatches(random, maxSplit, maxBoxes);
  const { boxes, crops } = cutCrops(
    request,
    image,
    file,
    fractionsToPixels(grid.fractions, width, height),
    skipped,
  );
  const cells = Math.floor(size / request.patchSize);
  const { scale } = fitLongestSide(width, height, size);
  const map = { height: cells, width: cells };
  return {
    source: { file, width, height, rows: grid.rows, columns: grid.columns, boxes },
    student: studentImage(image, size),
    crops,
    pooling: roiAlignRows(pixelsToCells(Float32Array.from(boxes.flat()), scale, size, map), map),
  };
}

/** The teacher's crops of all boxes that have one; the others are left out and named. */
function cutCrops(
  { cropScale, cropSize }: BatchRequest,
  image: Raster,
  file: string,
  pixels: Float32Array,
  skipped: SkippedImage[],
): { boxes: PatchSource['boxes']; crops: Uint8Array[] } {
  const boxes: PatchSource['boxes'] = [];
  const crops: Uint8Array[] = [];
  const reasons: string[] = [];
  for (let start = 0; start < pixels.length; start += 4) {
    const box = Array.from(pixels.subarray(start, start + 4)) as [number, number, number, number];
    const enlarged = enlargeBox(box, cropScale, image.width, image.height);
    const reason = degenerateCropReason(enlarged, cropSize);
    if (reason !== null) {
      reasons.push(reason);
      continue;
    }
    boxes.push(box);
    crops.push(teacherImage(cropImage(image, enlarged), cropSize));
  }
  if (boxes.length === 0) throw new ImageError(file, `no patch can be used: ${reasons[0]}`);
  for (const reason of reasons) skipped.push({ file, reason: `a patch is left out: ${reason}` });
  return { boxes, crops };
}

function assemble(request: BatchRequest, samples: Sample[]): Omit<TrainingBatch, 'skipped'> {
  const { size, cropSize, maxBoxes, normalisation } = request;
  const cells = Math.floor(size / request.patchSize) ** 2;
  const cropRasters = samples.flatMap(sample => sample.crops);
  const images = new Float32Array(samples.length * 3 * size * size);
  const crops = new Float32Array(cropRasters.length * 3 * cropSize * cropSize);
  const pooling = new Float32Array(samples.length * maxBoxes * cells);
  samples.forEach((sample, index) => {
    normaliseInto(sample.student, normalisation, images, index * 3 * size * size);
    pooling.set(sample.pooling, index * maxBoxes * cells);
  });
  cropRasters.forEach((crop, index) => {
    normaliseInto(crop, normalisation, crops, index * 3 * cropSize * cropSize);
  });
  return {
    images,
    crops,
    boxCounts: samples.map(sample => sample.crops.length),
    pooling,
    sources: samples.map(sample => sample.source),
  };
}
