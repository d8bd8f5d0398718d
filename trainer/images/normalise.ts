/** Pixel values to network inputs, in the float32 order of `ToTensor` and `Normalize`. */

import { type ResampleKernel, resampleKernel } from './resampleKernel.ts';

/** Per-channel mean and standard deviation of pixel values scaled to 0 … 1. */
export interface ImageNormalisation {
  mean: readonly [number, number, number];
  std: readonly [number, number, number];
}

/** The values every published CLIP uses, EVA-CLIP included. */
export const clipNormalisation: ImageNormalisation = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};

/** What each byte becomes in a channel: ((byte / 255) − mean) / std, every step rounded to float32. */
function channelTable(mean: number, std: number): Float32Array {
  const table = new Float32Array(256);
  const mean32 = Math.fround(mean);
  const std32 = Math.fround(std);
  for (let byte = 0; byte < 256; byte++) {
    table[byte] = Math.fround(Math.fround(byte / 255) - mean32) / std32;
  }
  return table;
}

/** Pixels that go through the kernel together: what they take stays in the processor's caches. */
const portion = 8192;

/**
 * Writes RGB pixels [height, width, 3] as normalised float32 [3, height, width] into `target` from `offset` on.
 *
 * @param byVectors False takes the plain loop, which gives the same bits.
 */
export function normaliseInto(
  rgb: Uint8Array,
  normalisation: ImageNormalisation,
  target: Float32Array,
  offset: number,
  byVectors = true,
): void {
  if (offset + rgb.length > target.length) throw new Error('the target is too small for the image');
  const kernel = byVectors ? resampleKernel() : null;
  const done = kernel ? normaliseByVectors(kernel, rgb, normalisation, target, offset) : 0;
  const pixels = rgb.length / 3;
  for (let channel = 0; channel < 3 && done < pixels; channel++) {
    const table = channelTable(normalisation.mean[channel]!, normalisation.std[channel]!);
    const start = offset + channel * pixels;
    for (let pixel = done, source = 3 * done + channel; pixel < pixels; pixel++, source += 3) {
      target[start + pixel] = table[rgb[source]!]!;
    }
  }
}

/** @returns Pixels that are done: as many as whole vectors hold. */
function normaliseByVectors(
  kernel: ResampleKernel,
  rgb: Uint8Array,
  { mean, std }: ImageNormalisation,
  target: Float32Array,
  offset: number,
): number {
  const pixels = rgb.length / 3;
  const whole = pixels - (pixels % 16);
  const [input, plane] = [64, 4 * portion];
  const output = input + 3 * portion;
  const buffer = kernel.memory(output + 3 * plane);
  const constants = [255, ...[0, 1, 2].flatMap(channel => [mean[channel]!, std[channel]!])];
  new Float32Array(buffer, 0, constants.length).set(constants);
  for (let first = 0; first < whole; first += portion) {
    const count = Math.min(portion, whole - first);
    new Uint8Array(buffer, input, 3 * count).set(rgb.subarray(3 * first, 3 * (first + count)));
    kernel.normalise(input, input + 3 * count, output, output + plane, output + 2 * plane, 0);
    for (let channel = 0; channel < 3; channel++)
      target.set(
        new Float32Array(buffer, output + channel * plane, count),
        offset + channel * pixels + first,
      );
  }
  return whole;
}
