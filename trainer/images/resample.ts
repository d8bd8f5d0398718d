/**
 * Resizing by PIL's rules, to the byte. Published CLIP numbers assume PIL's bicubic: a = −0.5, support scaled when
 * shrinking, 22-bit fixed-point coefficients and a rounding to uint8 between the horizontal and the vertical pass.
 */

import { createRaster, type Raster } from './raster.ts';
import { type ResampleKernel, resampleKernel } from './resampleKernel.ts';

/** 32 bits less 8 for the pixel and 2 for overshoot of the filter. */
const precisionBits = 32 - 8 - 2;
const roundingTerm = 1 << (precisionBits - 1);
const bicubicSupport = 2;

/** Contributions of input pixels to each output pixel along one axis. */
interface AxisCoefficients {
  /** First contributing input pixel of each output pixel. */
  starts: Int32Array;
  /** How many input pixels contribute. */
  counts: Int32Array;
  /** [outputs, stride] fixed-point coefficients. */
  weights: Int32Array;
  stride: number;
}

function bicubic(distance: number): number {
  const x = Math.abs(distance);
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function axisCoefficients(inputSize: number, outputSize: number): AxisCoefficients {
  const scale = inputSize / outputSize;
  const filterScale = Math.max(scale, 1);
  const support = bicubicSupport * filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(outputSize);
  const counts = new Int32Array(outputSize);
  const weights = new Int32Array(outputSize * stride);
  const exact = new Float64Array(stride);
  const inverse = 1 / filterScale;
  for (let output = 0; output < outputSize; output++) {
    const centre = (output + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const count = Math.min(Math.trunc(centre + support + 0.5), inputSize) - start;
    let sum = 0;
    for (let tap = 0; tap < count; tap++) {
      exact[tap] = bicubic((tap + start - centre + 0.5) * inverse);
      sum += exact[tap]!;
    }
    for (let tap = 0; tap < count; tap++) {
      const scaled = (sum === 0 ? exact[tap]! : exact[tap]! / sum) * (1 << precisionBits);
      weights[output * stride + tap] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    starts[output] = start;
    counts[output] = count;
  }
  return { starts, counts, weights, stride };
}

/** [rows, inputWidth, channels] → [rows, outputWidth, channels]. Coefficients keep every sum within 32 bits. */
function resampleRows(
  input: Uint8Array,
  rows: number,
  inputWidth: number,
  channels: number,
  axis: AxisCoefficients,
): Uint8Array {
  const outputWidth = axis.starts.length;
  const output = new Uint8ClampedArray(rows * outputWidth * channels);
  const { starts, counts, weights, stride } = axis;
  for (let row = 0; row < rows; row++) {
    const rowStart = row * inputWidth * channels;
    let target = row * outputWidth * channels;
    for (let column = 0; column < outputWidth; column++) {
      const weightStart = column * stride;
      const weightEnd = weightStart + counts[column]!;
      const first = rowStart + starts[column]! * channels;
      if (channels === 3) {
        let red = roundingTerm;
        let green = roundingTerm;
        let blue = roundingTerm;
        let source = first;
        for (let tap = weightStart; tap < weightEnd; tap++) {
          const weight = weights[tap]!;
          red = (red + Math.imul(weight, input[source]!)) | 0;
          green = (green + Math.imul(weight, input[source + 1]!)) | 0;
          blue = (blue + Math.imul(weight, input[source + 2]!)) | 0;
          source += 3;
        }
        output[target] = red >> precisionBits;
        output[target + 1] = green >> precisionBits;
        output[target + 2] = blue >> precisionBits;
        target += 3;
        continue;
      }
      for (let channel = 0; channel < channels; channel++) {
        let sum = roundingTerm;
        let source = first + channel;
        for (let tap = weightStart; tap < weightEnd; tap++) {
          sum = (sum + Math.imul(weights[tap]!, input[source]!)) | 0;
          source += channels;
        }
        output[target++] = sum >> precisionBits;
      }
    }
  }
  return new Uint8Array(output.buffer);
}

/** [inputHeight, rowLength] → [outputHeight, rowLength], where a row holds width × channels values. */
function resampleColumns(input: Uint8Array, rowLength: number, axis: AxisCoefficients): Uint8Array {
  const { starts, counts, weights, stride } = axis;
  const outputHeight = starts.length;
  const output = new Uint8ClampedArray(outputHeight * rowLength);
  const sums = new Int32Array(rowLength);
  for (let row = 0; row < outputHeight; row++) {
    sums.fill(roundingTerm);
    const count = counts[row]!;
    for (let tap = 0; tap < count; tap += 4) {
      addFourRows(sums, input, (starts[row]! + tap) * rowLength, weights, row * stride + tap, count - tap);
    }
    const target = row * rowLength;
    for (let index = 0; index < rowLength; index++) output[target + index] = sums[index]! >> precisionBits;
  }
  return new Uint8Array(output.buffer);
}

/** Adds up to four weighted input rows at once, so that the sums are read and written once for them all. */
function addFourRows(
  sums: Int32Array,
  input: Uint8Array,
  start: number,
  weights: Int32Array,
  firstWeight: number,
  count: number,
): void {
  const length = sums.length;
  // A row that is not there gets weight 0 and reads the first one again.
  const weight0 = weights[firstWeight]!;
  const weight1 = count > 1 ? weights[firstWeight + 1]! : 0;
  const weight2 = count > 2 ? weights[firstWeight + 2]! : 0;
  const weight3 = count > 3 ? weights[firstWeight + 3]! : 0;
  let row0 = start;
  let row1 = count > 1 ? start + length : start;
  let row2 = count > 2 ? start + 2 * length : start;
  let row3 = count > 3 ? start + 3 * length : start;
  for (let index = 0; index < length; index++) {
    sums[index] =
      (sums[index]! +
        Math.imul(weight0, input[row0++]!) +
        Math.imul(weight1, input[row1++]!) +
        Math.imul(weight2, input[row2++]!) +
        Math.imul(weight3, input[row3++]!)) |
      0;
  }
}

/** Larger images go without: memory of the kernel is never given back. */
const mostKernelBytes = 2 ** 26;

/** Addresses in the kernel's memory, each on a border of 16 bytes, with room beyond for whole vectors. */
function layOut(sizes: readonly number[]): { addresses: number[]; bytes: number } {
  let bytes = 0;
  const addresses = sizes.map(size => {
    const address = bytes;
    bytes += Math.ceil(size / 16) * 16 + 32;
    return address;
  });
  return { addresses, bytes };
}

/** The bytes of `resampleRows` and `resampleColumns` on RGB, by vectors; null when it is too large for them. */
function resampleByVectors(
  { rows: rowsOf, columns: columnsOf, memory }: ResampleKernel,
  image: Raster,
  width: number,
  height: number,
): Uint8Array | null {
  const across = axisCoefficients(image.width, width);
  const down = axisCoefficients(image.height, height);
  const [inputBytes, rowBytes] = [image.width * 3, width * 3];
  const { addresses, bytes } = layOut([
    image.data.length,
    image.height * rowBytes,
    height * rowBytes,
    ...[across, down].flatMap(({ starts, counts, weights }) =>
      [starts, counts, weights].map(({ byteLength }) => byteLength),
    ),
  ]);
  if (bytes > mostKernelBytes) return null;
  const [input, between, output, starts, counts, weights] = addresses as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const downWeights = addresses.at(-1)!;
  const buffer = memory(bytes);
  new Uint8Array(buffer, input, image.data.length).set(image.data);
  const table = (address: number, values: Int32Array, factor: number): void => {
    const target = new Int32Array(buffer, address, values.length);
    for (const [index, value] of values.entries()) target[index] = value * factor;
  };
  table(starts, across.starts, 3);
  table(counts, across.counts, 4);
  new Int32Array(buffer, weights, across.weights.length).set(across.weights);
  new Int32Array(buffer, downWeights, down.weights.length).set(down.weights);
  // PIL leaves out a pass whose size does not change.
  const source = width === image.width ? input : between;
  if (source === between)
    rowsOf(input, inputBytes, image.height, starts, counts, weights, across.stride * 4, width * 4, between);
  if (height === image.height) return new Uint8Array(buffer.slice(source, source + height * rowBytes));
  for (let row = 0; row < height; row++) {
    const target = output + row * rowBytes;
    const first = source + down.starts[row]! * rowBytes;
    const rowWeights = downWeights + row * down.stride * 4;
    columnsOf(first, rowBytes, down.counts[row]!, rowWeights, target, target + rowBytes);
  }
  return new Uint8Array(buffer.slice(output, output + height * rowBytes));
}

/** @param byVectors False takes the plain loops, which give the same bytes. */
export function resampleBicubic(image: Raster, width: number, height: number, byVectors = true): Raster {
  const kernel = byVectors && image.channels === 3 ? resampleKernel() : null;
  const vectors = kernel && resampleByVectors(kernel, image, width, height);
  if (vectors) return createRaster(width, height, image.mode, vectors);
  let data = image.data;
  // PIL leaves out a pass whose size does not change.
  if (width !== image.width) {
    data = resampleRows(
      data,
      image.height,
      image.width,
      image.channels,
      axisCoefficients(image.width, width),
    );
  }
  if (height !== image.height) {
    data = resampleColumns(data, width * image.channels, axisCoefficients(image.height, height));
  }
  return createRaster(width, height, image.mode, data);
}

/** Input pixel of each output pixel. PIL adds the step up instead of multiplying, which decides ties. */
function nearestSources(inputSize: number, outputSize: number): Int32Array {
  const step = inputSize / outputSize;
  const sources = new Int32Array(outputSize);
  let position = step * 0.5;
  for (let output = 0; output < outputSize; output++) {
    sources[output] = Math.min(Math.trunc(position), inputSize - 1);
    position += step;
  }
  return sources;
}

function resampleNearest(image: Raster, width: number, height: number): Raster {
  const { channels } = image;
  const columns = nearestSources(image.width, width);
  const rows = nearestSources(image.height, height);
  const result = createRaster(width, height, image.mode);
  let target = 0;
  for (let row = 0; row < height; row++) {
    const rowStart = rows[row]! * image.width;
    for (let column = 0; column < width; column++) {
      const source = (rowStart + columns[column]!) * channels;
      for (let channel = 0; channel < channels; channel++)
        result.data[target++] = image.data[source + channel]!;
    }
  }
  return result;
}

/** Colours times alpha / 255, rounded as PIL's MULDIV255 rounds. */
function premultiplied(image: Raster): Raster {
  const { channels } = image;
  const data = new Uint8Array(image.data);
  for (let pixel = 0; pixel < data.length; pixel += channels) {
    const alpha = data[pixel + channels - 1]!;
    for (let channel = 0; channel < channels - 1; channel++) {
      const product = data[pixel + channel]! * alpha + 128;
      data[pixel + channel] = ((product >> 8) + product) >> 8;
    }
  }
  return createRaster(image.width, image.height, image.mode, data);
}

/** Undoes `premultiplied` in place, truncating and clipping as PIL does; alpha 0 leaves the colours alone. */
function unpremultiply(image: Raster): Raster {
  const { channels, data } = image;
  for (let pixel = 0; pixel < data.length; pixel += channels) {
    const alpha = data[pixel + channels - 1]!;
    if (alpha === 0 || alpha === 255) continue;
    for (let channel = 0; channel < channels - 1; channel++) {
      data[pixel + channel] = Math.min(Math.trunc((255 * data[pixel + channel]!) / alpha), 255);
    }
  }
  return image;
}

/**
 * Resizes an image to width × height pixels as PIL's `Image.resize(…, BICUBIC)` does: palette and bilevel images by
 * nearest neighbour, images with alpha with premultiplied colours, all others plainly. The result keeps the mode.
 */
export function resizeImage(image: Raster, width: number, height: number): Raster {
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new Error(`an image cannot be resized to ${width}×${height} pixels`);
  }
  if (width === image.width && height === image.height) {
    return createRaster(width, height, image.mode, image.data.slice());
  }
  if (image.mode === 'P' || image.mode === '1') return resampleNearest(image, width, height);
  if (image.mode === 'RGBA' || image.mode === 'LA') {
    return unpremultiply(resampleBicubic(premultiplied(image), width, height));
  }
  return resampleBicubic(image, width, height);
}
