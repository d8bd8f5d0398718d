/**
 * Where the pixels of a file go: the student's image (longest side to `size`, padded right and bottom), the teacher's
 * crops (letterboxed in the centre), and PIL's crop. Padding is black before normalisation (reference 5).
 */

import { createRaster, maximumPixels, placeAsRgb, type Raster } from './raster.ts';
import { resizeImage } from './resample.ts';

/** x0, y0, x1, y1 in pixels. */
export type PixelBox = readonly [number, number, number, number];

export interface FittedSize {
  width: number;
  height: number;
  /** New pixels per old pixel. */
  scale: number;
}

/** Python's `round`: to the nearest integer, halves to the even one. */
export function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction !== 0.5) return fraction < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Size of an image whose longest side becomes `size`; a very thin image may get a side of 0. */
export function fitLongestSide(width: number, height: number, size: number): FittedSize {
  const scale = size / Math.max(width, height);
  return { width: roundHalfToEven(width * scale), height: roundHalfToEven(height * scale), scale };
}

/** Why an image of this size cannot be fitted into `size` pixels, or null when it can. */
export function unfittableReason(width: number, height: number, size: number): string | null {
  const fitted = fitLongestSide(width, height, size);
  if (fitted.width > 0 && fitted.height > 0) return null;
  return `${width}×${height} pixels are too thin to be resized to ${size} pixels on the longest side`;
}

/** The student's view of an image: RGB [size, size, 3], content at the top left. */
export function studentImage(image: Raster, size: number): Uint8Array {
  return fitted(image, size, () => ({ left: 0, top: 0 }));
}

/** The teacher's view of an image or crop: RGB [size, size, 3], content centred. */
export function teacherImage(image: Raster, size: number): Uint8Array {
  return fitted(image, size, content => ({
    left: Math.floor((size - content.width) / 2),
    top: Math.floor((size - content.height) / 2),
  }));
}

function fitted(
  image: Raster,
  size: number,
  place: (content: Raster) => { left: number; top: number },
): Uint8Array {
  const reason = unfittableReason(image.width, image.height, size);
  if (reason !== null) throw new Error(reason);
  const target = fitLongestSide(image.width, image.height, size);
  const content = resizeImage(image, target.width, target.height);
  const canvas = new Uint8Array(size * size * 3);
  const { left, top } = place(content);
  placeAsRgb(content, canvas, size, left, top);
  return canvas;
}

/** The box PIL cuts: every coordinate rounded on its own, halves to the even integer. */
function roundBox(box: PixelBox): PixelBox {
  return [roundHalfToEven(box[0]), roundHalfToEven(box[1]), roundHalfToEven(box[2]), roundHalfToEven(box[3])];
}

/**
 * Why a box cannot become a teacher crop of `size` pixels, or null when it can. Such boxes hold no pixels after
 * rounding, or are so thin that the letterboxed crop would have none; the published loader dies of them.
 */
export function degenerateCropReason(box: PixelBox, size: number): string | null {
  const name = `box [${box.map(value => Number(value.toFixed(2))).join(', ')}]`;
  if (!box.every(Number.isFinite)) return `${name} is not finite`;
  const [x0, y0, x1, y1] = roundBox(box);
  if (x1 <= x0 || y1 <= y0) return `${name} holds no pixels after rounding`;
  if ((x1 - x0) * (y1 - y0) > maximumPixels) return `${name} holds more than ${maximumPixels} pixels`;
  const reason = unfittableReason(x1 - x0, y1 - y0, size);
  return reason === null ? null : `${name}: ${reason}`;
}

/** PIL's `Image.crop`: the rounded box, black (and transparent) where it leaves the image. */
export function cropImage(image: Raster, box: PixelBox): Raster {
  const [x0, y0, x1, y1] = roundBox(box);
  const crop = createRaster(Math.max(x1 - x0, 0), Math.max(y1 - y0, 0), image.mode);
  const left = Math.max(x0, 0);
  const right = Math.min(x1, image.width);
  if (right <= left) return crop;
  for (let y = Math.max(y0, 0); y < Math.min(y1, image.height); y++) {
    const start = (y * image.width + left) * image.channels;
    const length = (right - left) * image.channels;
    crop.data.set(
      image.data.subarray(start, start + length),
      ((y - y0) * crop.width + left - x0) * crop.channels,
    );
  }
  return crop;
}
