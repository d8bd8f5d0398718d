/** Pixel values to network inputs, in the float32 order of `ToTensor` and `Normalize`. */

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

/** Writes RGB pixels [height, width, 3] as normalised float32 [3, height, width] into `target` from `offset` on. */
export function normaliseInto(
  rgb: Uint8Array,
  normalisation: ImageNormalisation,
  target: Float32Array,
  offset: number,
): void {
  const pixels = rgb.length / 3;
  if (offset + rgb.length > target.length) throw new Error('the target is too small for the image');
  for (let channel = 0; channel < 3; channel++) {
    const table = channelTable(normalisation.mean[channel]!, normalisation.std[channel]!);
    const start = offset + channel * pixels;
    for (let pixel = 0, source = channel; pixel < pixels; pixel++, source += 3) {
      target[start + pixel] = table[rgb[source]!]!;
    }
  }
}
