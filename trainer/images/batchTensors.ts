/** The tensors of a batch from its prepared images. */

import type { BatchRequest, PatchSource, TrainingBatch } from './batch.ts';
import { resizeBilinear } from './bilinear.ts';
import type { BufferPool } from './bufferPool.ts';
import { type ImageNormalisation, normaliseInto } from './normalise.ts';

/** A region's crop. */
export interface CutCrop {
  /** RGB [cropSize, cropSize, 3]; null where it was given before. */
  pixels: Uint8Array | null;
  /** Place of the region among those that are kept; −1 where it is not. */
  region: number;
}

/** An image ready for the batch. */
export interface Sample {
  source: PatchSource;
  /** RGB [size, size, 3]. */
  student: Uint8Array;
  crops: CutCrop[];
  labels: number[];
  /** RGB [cropSize, cropSize, 3]; null where it is not wanted. */
  whole: Uint8Array | null;
  /** [boxes, cells]. */
  pooling: Float32Array;
}

/** Memory of a batch that came from a pool. */
export const batchMemory = ({ images, crops, pooling, wholes }: TrainingBatch): SharedArrayBuffer[] =>
  [images, crops, pooling, wholes].flatMap(({ buffer }) =>
    buffer instanceof SharedArrayBuffer ? [buffer] : [],
  );

/** @param memory Lends tensors their memory; null: it is new. */
export function assembleBatch(
  request: BatchRequest,
  studentSide: number,
  samples: Sample[],
  memory: BufferPool | null,
): Omit<TrainingBatch, 'kept' | 'skipped'> {
  const { cropSize, patchSize, maxBoxes, normalisation } = request;
  const cellsOf = (side: number): number => Math.floor(side / patchSize) ** 2;
  const cells = cellsOf(studentSide);
  const poolingOf = (side: number): number => samples.length * maxBoxes * cellsOf(side);
  const pooling = floats(memory, poolingOf(studentSide), poolingOf(largestSide(request))).fill(0);
  samples.forEach((sample, index) => {
    pooling.set(sample.pooling, index * maxBoxes * cells);
  });
  const cropsOf = (rasters: readonly Uint8Array[], most: number): Float32Array => {
    const values = floats(memory, rasters.length * pixelsOf(cropSize), most * pixelsOf(cropSize));
    return normalised(rasters, normalisation, values);
  };
  return {
    images: studentImages(request, studentSide, samples, memory),
    size: studentSide,
    crops: cropsOf(
      samples.flatMap(({ crops }) => crops.flatMap(({ pixels }) => (pixels ? [pixels] : []))),
      samples.length * maxBoxes,
    ),
    boxCounts: samples.map(sample => sample.source.boxes.length),
    pooling,
    labels: samples.flatMap(sample => sample.labels),
    wholes: cropsOf(
      samples.flatMap(({ whole }) => (whole ? [whole] : [])),
      samples.length,
    ),
    sources: samples.map(sample => sample.source),
  };
}

/** [B, 3, studentSide, studentSide] */
function studentImages(
  request: BatchRequest,
  studentSide: number,
  samples: readonly Sample[],
  memory: BufferPool | null,
): Float32Array {
  const { size, normalisation } = request;
  const most = samples.length * pixelsOf(largestSide(request));
  const rasters = samples.map(({ student }) => student);
  const images = normalised(rasters, normalisation, floats(memory, samples.length * pixelsOf(size), most));
  if (studentSide === size) return images;
  const resized = floats(memory, samples.length * pixelsOf(studentSide), most);
  resizeBilinear(images, size, size, studentSide, studentSide, resized);
  if (images.buffer instanceof SharedArrayBuffer) memory?.give([images.buffer]);
  return resized;
}

/** Side of the largest student image that a batch may have. */
const largestSide = ({ size, scales }: BatchRequest): number => Math.max(size, ...(scales ?? []));

/** Numbers of a square RGB image. */
const pixelsOf = (side: number): number => 3 * side * side;

const floats = (memory: BufferPool | null, length: number, most: number): Float32Array =>
  memory && length > 0 ? memory.take(length, most) : new Float32Array(length);

/** Images of one size after one another. */
function normalised(
  rasters: readonly Uint8Array[],
  normalisation: ImageNormalisation,
  values: Float32Array,
): Float32Array {
  rasters.forEach((raster, index) => {
    normaliseInto(raster, normalisation, values, index * raster.length);
  });
  return values;
}
