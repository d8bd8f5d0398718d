/**
 * Resizing a grid of position embeddings as a matrix: interpolation is linear in the embeddings, so
 * resized [h·w, C] = matrix [h·w, h0·w0] · embeddings [h0·w0, C]. Pixel centres are aligned at half (`align_corners`
 * false) and borders are replicated.
 */

import type { GridSize } from '../dense/roiPooling.ts';

/**
 * `bicubic` (a = −0.75) resizes at run time; `bicubic-antialias` (a = −0.5, support scaled when shrinking) is how
 * OpenCLIP loads a checkpoint into another image size; `bilinear` resizes images for multi-scale training.
 */
export type InterpolationKernel = 'bicubic' | 'bicubic-antialias' | 'bilinear';

/** Weights of one axis: [target, source]. */
type AxisMatrix = Float64Array;

/** Cubic convolution kernel with parameter a. */
function cubic(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/** Position in the source of each target's centre, rounded to float32 as the reference rounds it. */
function sourcePosition(target: number, scale: number): number {
  return Math.fround(Math.fround(scale * (target + 0.5)) - 0.5);
}

function bicubicAxis(source: number, target: number): AxisMatrix {
  const matrix = new Float64Array(target * source);
  const scale = Math.fround(source / target);
  for (let row = 0; row < target; row++) {
    const position = sourcePosition(row, scale);
    const first = Math.floor(position) - 1;
    for (let tap = first; tap < first + 4; tap++) {
      const replicated = Math.min(Math.max(tap, 0), source - 1);
      matrix[row * source + replicated]! += cubic(position - tap, -0.75);
    }
  }
  return matrix;
}

function bilinearAxis(source: number, target: number): AxisMatrix {
  const matrix = new Float64Array(target * source);
  const scale = Math.fround(source / target);
  for (let row = 0; row < target; row++) {
    const position = Math.max(sourcePosition(row, scale), 0);
    const low = Math.min(Math.floor(position), source - 1);
    const share = Math.min(position - low, 1);
    matrix[row * source + low]! += 1 - share;
    matrix[row * source + Math.min(low + 1, source - 1)]! += share;
  }
  return matrix;
}

function antialiasAxis(source: number, target: number): AxisMatrix {
  const matrix = new Float64Array(target * source);
  const scale = source / target;
  const filterScale = Math.max(scale, 1);
  for (let row = 0; row < target; row++) {
    const centre = scale * (row + 0.5);
    const start = Math.max(Math.trunc(centre - 2 * filterScale + 0.5), 0);
    const end = Math.min(Math.trunc(centre + 2 * filterScale + 0.5), source);
    let sum = 0;
    for (let tap = start; tap < end; tap++) {
      const weight = cubic((tap - centre + 0.5) / filterScale, -0.5);
      matrix[row * source + tap] = weight;
      sum += weight;
    }
    for (let tap = start; tap < end; tap++) matrix[row * source + tap]! /= sum;
  }
  return matrix;
}

const axisOf: Record<InterpolationKernel, (source: number, target: number) => AxisMatrix> = {
  bicubic: bicubicAxis,
  'bicubic-antialias': antialiasAxis,
  bilinear: bilinearAxis,
};

/**
 * Matrix [target.height · target.width, source.height · source.width], rows and columns in row-major order of the
 * grids; the identity when the sizes are equal. Agrees with PyTorch to 1e-6 of the embeddings.
 */
export function interpolationMatrix(
  source: GridSize,
  target: GridSize,
  kernel: InterpolationKernel = 'bicubic',
): Float32Array {
  for (const size of [source.height, source.width, target.height, target.width]) {
    if (!(Number.isInteger(size) && size > 0)) throw new Error(`a grid cannot have ${size} rows or columns`);
  }
  const ys = axisOf[kernel](source.height, target.height);
  const xs = axisOf[kernel](source.width, target.width);
  const sourceCells = source.height * source.width;
  const matrix = new Float32Array(target.height * target.width * sourceCells);
  for (let row = 0; row < target.height * target.width; row++) {
    const yStart = Math.floor(row / target.width) * source.height;
    const xStart = (row % target.width) * source.width;
    for (let y = 0; y < source.height; y++) {
      const weight = ys[yStart + y]!;
      if (weight === 0) continue;
      const start = row * sourceCells + y * source.width;
      for (let x = 0; x < source.width; x++) matrix[start + x] = weight * xs[xStart + x]!;
    }
  }
  return matrix;
}
