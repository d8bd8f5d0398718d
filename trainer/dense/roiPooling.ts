/**
 * RoIAlign as a matrix. Pooling a region is linear in the feature map, so each output cell is one row of weights over
 * the map's cells: pooled = rows · features, and the gradient of the map is the transpose times the upstream one.
 */

export interface GridSize {
  height: number;
  width: number;
}

/** A box of more cells than this is no region of any feature map; it would only cost time. */
const maximumSamples = 1 << 20;

/** Bilinear weights along one axis, summed over the samples of each bin: [bins, cells]. */
interface AxisWeights {
  weights: Float64Array;
  samplesPerBin: number;
}

/** Follows the float32 order of the reference: rounding decides how many samples there are and where. */
function axisWeights(from: number, to: number, bins: number, cells: number): AxisWeights {
  const start = Math.fround(from - 0.5);
  const size = Math.fround(Math.fround(to - 0.5) - start);
  const binSize = Math.fround(size / bins);
  const samplesPerBin = Math.ceil(binSize);
  if (!(Math.abs(samplesPerBin) <= maximumSamples))
    throw new Error(`a box from ${from} to ${to} cannot be pooled`);
  const weights = new Float64Array(bins * cells);
  for (let bin = 0; bin < bins; bin++) {
    const binStart = Math.fround(start + Math.fround(bin * binSize));
    for (let sample = 0; sample < samplesPerBin; sample++) {
      const offset = Math.fround(Math.fround((sample + 0.5) * binSize) / samplesPerBin);
      addSample(weights, bin * cells, cells, Math.fround(binStart + offset));
    }
  }
  return { weights, samplesPerBin };
}

/** Adds the two bilinear weights of a sample; positions beyond one cell outside the map count as zero features. */
function addSample(weights: Float64Array, offset: number, cells: number, position: number): void {
  if (position < -1 || position > cells) return;
  const clamped = Math.max(position, 0);
  const low = Math.trunc(clamped);
  if (low >= cells - 1) {
    weights[offset + cells - 1]! += 1;
    return;
  }
  const upperShare = Math.fround(clamped - low);
  weights[offset + low]! += Math.fround(1 - upperShare);
  weights[offset + low + 1]! += upperShare;
}

/**
 * Rows of the pooling matrix for boxes on a feature map: `roi_align(…, spatial_scale=1, sampling_ratio=-1,
 * aligned=True)` of torchvision. Inverted, empty and outside boxes give zero rows.
 *
 * @param boxes [count, 4] x0, y0, x1, y1 in cells of the map, float32.
 * @param map Size of the feature map.
 * @param output Cells each box is pooled into; 1 × 1 for CLIPSelf.
 * @param target Where the rows go, [count × output cells, map cells]; a new array when left out.
 * @param offset First element of `target` to write.
 */
export function roiAlignRows(
  boxes: Float32Array,
  map: GridSize,
  output: GridSize = { height: 1, width: 1 },
  target: Float32Array = new Float32Array(
    (boxes.length / 4) * output.height * output.width * map.height * map.width,
  ),
  offset = 0,
): Float32Array {
  let row = offset;
  for (let box = 0; box < boxes.length; box += 4) {
    const xs = axisWeights(boxes[box]!, boxes[box + 2]!, output.width, map.width);
    const ys = axisWeights(boxes[box + 1]!, boxes[box + 3]!, output.height, map.height);
    const samples = Math.max(xs.samplesPerBin * ys.samplesPerBin, 1);
    for (let outputY = 0; outputY < output.height; outputY++) {
      for (let outputX = 0; outputX < output.width; outputX++) {
        writeRow(
          target,
          row,
          ys.weights,
          outputY * map.height,
          xs.weights,
          outputX * map.width,
          map,
          samples,
        );
        row += map.height * map.width;
      }
    }
  }
  return target;
}

/** One row: the outer product of both axes' weights, divided by the number of samples. */
function writeRow(
  target: Float32Array,
  row: number,
  ys: Float64Array,
  yStart: number,
  xs: Float64Array,
  xStart: number,
  map: GridSize,
  samples: number,
): void {
  for (let y = 0; y < map.height; y++) {
    const weight = ys[yStart + y]! / samples;
    for (let x = 0; x < map.width; x++) target[row + y * map.width + x] = weight * xs[xStart + x]!;
  }
}

/**
 * Boxes in pixels of an image file to cells of the student's feature map, every step rounded to float32 in the order
 * of the reference: × scale, ÷ padded size, × cells.
 *
 * @param pixels [count, 4] in pixels of the file, float32.
 * @param scale Student pixels per file pixel.
 * @param paddedSize Side of the padded, square student image.
 */
export function pixelsToCells(
  pixels: Float32Array,
  scale: number,
  paddedSize: number,
  map: GridSize,
): Float32Array {
  return fractionsToCells(pixelsToPaddedFractions(pixels, scale, paddedSize), map);
}

/** Boxes in pixels of the file as fractions of the padded student image, float32. */
export function pixelsToPaddedFractions(
  pixels: Float32Array,
  scale: number,
  paddedSize: number,
): Float32Array {
  const scale32 = Math.fround(scale);
  return pixels.map(value => Math.fround(value * scale32) / paddedSize);
}

/** Boxes as fractions of the padded image to cells of its feature map, float32. */
export function fractionsToCells(fractions: Float32Array, map: GridSize): Float32Array {
  return fractions.map((value, index) => value * (index % 2 === 0 ? map.width : map.height));
}
