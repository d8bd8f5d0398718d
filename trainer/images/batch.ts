/** From image files to the tensors of one CLIPSelf training step. */

import { pixelsToCells, roiAlignRows } from '../dense/roiPooling.ts';
import type { KeptCrops } from '../distill/regionLoss.ts';
import { replacementIndices } from '../distill/sampler.ts';
import { keyedRandom } from '../random.ts';
import { assembleBatch, type CutCrop, type Sample } from './batchTensors.ts';
import type { BufferPool } from './bufferPool.ts';
import { decodeImageBytes } from './decode.ts';
import { imageOrder } from './epochImages.ts';
import {
  cropImage,
  degenerateCropReason,
  fitLongestSide,
  studentImage,
  teacherImage,
  unfittableReason,
} from './geometry.ts';
import { ImageError } from './imageError.ts';
import { type ImageList, readImage } from './imageReader.ts';
import { type MemberPlace, memberPlace } from './memberStore.ts';
import type { ImageNormalisation } from './normalise.ts';
import type { Raster } from './raster.ts';
import { type ChosenRegions, chooseRegions, type RegionRules } from './regionChoice.ts';

/** Images with a shorter side are not used for training. */
const minimumSide = 10;

/** Every image of the training set, in an order that stays the same over the whole run. */
export interface PatchSettings extends RegionRules, ImageList {
  seed: number;
  /** Side of the padded student image in pixels. */
  size: number;
  /** Side of the teacher's crops in pixels. */
  cropSize: number;
  /** Side of a vision transformer's patch in pixels; the feature map has ⌊size / patchSize⌋ cells a side. */
  patchSize: number;
  /** Sides that the student image is resized to, one drawn for each batch; null leaves it as it is. */
  scales?: readonly number[] | null;
  /** Whether whole images in the teacher's geometry are wanted as well. */
  wholeImages?: boolean;
  normalisation: ImageNormalisation;
}

export interface BatchRequest extends PatchSettings {
  /** Epoch, from 0. */
  epoch: number;
  /** Places in the order of the epoch, one per image of the batch. */
  positions: readonly number[];
  /** Of the whole step, where these positions are a part of it; the first of them when left out. */
  firstPosition?: number;
}

/** Where the patches of one image of a batch come from. */
export interface PatchSource {
  file: string;
  /** Where the file is a member of a shard. */
  member?: MemberPlace;
  width: number;
  height: number;
  /** Of the grid; 0 where there is none. */
  rows: number;
  columns: number;
  /** Regions used, x0, y0, x1, y1 in pixels of the file. */
  boxes: [number, number, number, number][];
}

export interface SkippedImage {
  file: string;
  reason: string;
}

export interface TrainingBatch {
  /** Student images [B, 3, size, size], normalised. */
  images: Float32Array;
  /** Side of the student images in pixels. */
  size: number;
  /**
   * Teacher crops [K, 3, cropSize, cropSize], normalised; K is the sum of `boxCounts`. Empty where regions have labels;
   * those that `kept` says were given before are left out.
   */
  crops: Float32Array;
  /** Where embeddings of crops are kept; null elsewhere. */
  kept: KeptCrops | null;
  /** Patches of each image. */
  boxCounts: number[];
  /** RoIAlign rows [B, maxBoxes, cells of the feature map]; rows beyond an image's count are zero. */
  pooling: Float32Array;
  /** Position of each region's class, [K]; empty where they have none. */
  labels: number[];
  /** Whole images [B, 3, cropSize, cropSize] in the teacher's geometry; empty where they are not wanted. */
  wholes: Float32Array;
  sources: PatchSource[];
  /** Images that could not be used and were replaced, and patches that were left out. */
  skipped: SkippedImage[];
}

export type TakeImage = (position: number, image: number) => Promise<Buffer>;

/**
 * Builds the batch of the given positions. The same request on the same files gives the same bits. An image that
 * cannot be used is replaced by another one; throws when no image of the training set can be used.
 *
 * @param take Gives the bytes of the image at a position in the order of the epoch.
 * @param memory Lends tensors their memory; null: it is new.
 * @param given By place of a region whether its crop was given before, and is left out; marks those of this batch. Null
 *   where all are wanted.
 */
export async function buildBatch(
  request: BatchRequest,
  take: TakeImage = (_, image) => readImage(request, image),
  memory: BufferPool | null = null,
  given: Uint8Array | null = null,
): Promise<TrainingBatch> {
  const { files, positions } = request;
  if (files.length === 0) throw new Error('there are no images to train on');
  const order = imageOrder(request);
  const skipped: SkippedImage[] = [];
  const samples: Sample[] = [];
  const size = studentSize(request);
  for (const position of positions) {
    const index = order[position];
    if (index === undefined) throw new Error(`position ${position} is beyond the ${files.length} images`);
    samples.push(await usableSample(request, size, position, index, skipped, take, given));
  }
  const kept = given ? keptCrops(samples) : null;
  return { ...assembleBatch(request, size, samples, memory), kept, skipped };
}

/** Side of the student images of a batch: one of the scales where there are some. */
function studentSize(request: BatchRequest): number {
  const { scales, size, seed, epoch, positions, firstPosition = positions[0]! } = request;
  if (!scales || scales.length === 0) return size;
  return scales[keyedRandom(seed, 'scale', epoch, firstPosition).uint(scales.length)]!;
}

async function usableSample(
  request: BatchRequest,
  studentSide: number,
  position: number,
  index: number,
  skipped: SkippedImage[],
  take: TakeImage,
  given: Uint8Array | null,
): Promise<Sample> {
  const tried = new Set<number>();
  let problem: ImageError | null = null;
  for (const candidate of candidates(request, position, index)) {
    if (tried.has(candidate)) continue;
    tried.add(candidate);
    try {
      const bytes = await (tried.size === 1 ? take(position, candidate) : readImage(request, candidate));
      return await prepareSample(request, studentSide, position, candidate, bytes, skipped, given);
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
  studentSide: number,
  position: number,
  index: number,
  bytes: Buffer,
  skipped: SkippedImage[],
  given: Uint8Array | null,
): Promise<Sample> {
  const file = request.files[index]!;
  const image = await decodeImageBytes(file, bytes);
  const { width, height } = image;
  const { size, cropSize, patchSize, seed, epoch } = request;
  if (Math.min(width, height) < minimumSide) {
    throw new ImageError(file, `${width}×${height} pixels are too few: each side needs ${minimumSide}`);
  }
  const unfittable = unfittableReason(width, height, size);
  if (unfittable !== null) throw new ImageError(file, unfittable);

  const random = keyedRandom(seed, 'patches', epoch, position);
  const chosen = chooseRegions(request, random, index, width, height);
  const { boxes, crops } = chosen.crops
    ? cutCrops({ ...chosen, crops: chosen.crops }, cropSize, image, file, skipped, given)
    : labelledBoxes(chosen, file);
  const cells = Math.floor(studentSide / patchSize);
  const { scale } = fitLongestSide(width, height, size);
  const map = { height: cells, width: cells };
  return {
    source: {
      file,
      ...(request.members ? { member: memberPlace(request.members, index) } : {}),
      ...{ width, height, rows: chosen.rows, columns: chosen.columns, boxes },
    },
    student: studentImage(image, size),
    crops,
    labels: chosen.labels,
    whole: request.wholeImages ? teacherImage(image, cropSize) : null,
    pooling: roiAlignRows(pixelsToCells(Float32Array.from(boxes.flat()), scale, size, map), map),
  };
}

/** Regions with labels have no crops. */
function labelledBoxes({ boxes }: ChosenRegions, file: string): { boxes: PatchSource['boxes']; crops: [] } {
  if (boxes.length === 0) throw new ImageError(file, 'it has no labelled region');
  return { boxes, crops: [] };
}

/** The teacher's crops of all boxes that have one; the others are left out and named. */
function cutCrops(
  { boxes: regions, crops: cropBoxes, places }: ChosenRegions & { crops: PatchSource['boxes'] },
  cropSize: number,
  image: Raster,
  file: string,
  skipped: SkippedImage[],
  given: Uint8Array | null,
): { boxes: PatchSource['boxes']; crops: CutCrop[] } {
  const boxes: PatchSource['boxes'] = [];
  const crops: CutCrop[] = [];
  const reasons: string[] = [];
  cropBoxes.forEach((crop, index) => {
    const reason = degenerateCropReason(crop, cropSize);
    if (reason !== null) {
      reasons.push(reason);
      return;
    }
    boxes.push(regions[index]!);
    const place = places[index]!;
    const region = given && place < given.length ? place : -1;
    const cut = given?.[region] ? null : teacherImage(cropImage(image, crop), cropSize);
    if (given && region >= 0) given[region] = 1;
    crops.push({ pixels: cut, region });
  });
  if (boxes.length === 0) throw new ImageError(file, `no patch can be used: ${reasons[0]}`);
  for (const reason of reasons) skipped.push({ file, reason: `a patch is left out: ${reason}` });
  return { boxes, crops };
}

/** Which of a batch's regions bring their crops. */
function keptCrops(samples: readonly Sample[]): KeptCrops {
  let next = 0;
  const crops = samples.flatMap(sample => sample.crops);
  return {
    regions: crops.map(({ region }) => region),
    cropOf: crops.map(({ pixels }) => (pixels ? next++ : -1)),
  };
}
