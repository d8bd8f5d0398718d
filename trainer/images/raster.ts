/**
 * Pixels in memory. The modes are PIL's, because the resampling rule depends on them (reference: images are resized
 * in their own mode and converted to RGB afterwards).
 */

/** `1`: bilevel; `L`, `LA`: grey; `P`: came from a palette, its colours already looked up. */
export type ImageMode = '1' | 'L' | 'LA' | 'P' | 'RGB' | 'RGBA';

export interface Raster {
  width: number;
  height: number;
  mode: ImageMode;
  /** Values per pixel: 1 for `1` and `L`, 2 for `LA`, 3 for `P` and `RGB`, 4 for `RGBA`. */
  channels: number;
  /** [height, width, channels], 0 … 255. */
  data: Uint8Array;
}

/** Most pixels an image or a crop may have: the size above which PIL suspects a decompression bomb. */
export const maximumPixels = 178_956_970;

const channelsOfMode: Record<ImageMode, number> = { '1': 1, L: 1, LA: 2, P: 3, RGB: 3, RGBA: 4 };

export function createRaster(
  width: number,
  height: number,
  mode: ImageMode,
  data: Uint8Array = new Uint8Array(width * height * channelsOfMode[mode]),
): Raster {
  const channels = channelsOfMode[mode];
  if (data.length !== width * height * channels) {
    throw new Error(
      `${width}×${height} ${mode} needs ${width * height * channels} bytes, not ${data.length}`,
    );
  }
  return { width, height, mode, channels, data };
}

/**
 * Copies an image into an RGB canvas [canvasHeight, canvasWidth, 3] at (left, top). Grey becomes three equal
 * channels and alpha is dropped without compositing, as PIL's `convert('RGB')` does. The image must fit.
 */
export function placeAsRgb(
  image: Raster,
  canvas: Uint8Array,
  canvasWidth: number,
  left: number,
  top: number,
): void {
  const { width, height, channels, data } = image;
  for (let row = 0; row < height; row++) {
    let target = ((top + row) * canvasWidth + left) * 3;
    let source = row * width * channels;
    if (channels === 3) {
      canvas.set(data.subarray(source, source + width * 3), target);
      continue;
    }
    const grey = channels < 3;
    for (let column = 0; column < width; column++) {
      canvas[target] = data[source]!;
      canvas[target + 1] = data[grey ? source : source + 1]!;
      canvas[target + 2] = data[grey ? source : source + 2]!;
      target += 3;
      source += channels;
    }
  }
}
