import { stat } from 'node:fs/promises';
import path from 'node:path';
import { maximumPixels } from '../trainer/images/raster.ts';
import type { RegionPicture } from '../webview/evaluation/protocol.ts';
import { isInside } from './candidates.ts';
import { isImageFile } from './inspectorRequest.ts';

type Box = RegionPicture['box'];

/** Sides in pixels of what is sent to a panel. */
const THUMBNAIL = { width: 240, height: 180 };
const PICTURE_SIDE = 1600;

/** A region is shown with this share of its sides around it, and at least so many pixels. */
const MARGIN = { share: 0.25, pixels: 16 };

/** The image of a region is not where it should be, or is no image. */
export class RegionImageError extends Error {}

/**
 * The image file that a line of a regions file names. Both come from files that anybody may have written: the image must
 * lie below the folder and be of a kind that images have.
 *
 * @throws RegionImageError
 */
export async function regionImage(folder: string, image: string): Promise<string> {
  const file = path.resolve(folder, image);
  if (path.isAbsolute(image) || !isInside(file, folder) || file === path.resolve(folder))
    throw new RegionImageError(`“${image}” does not lie below the image folder ${folder}.`);
  if (!isImageFile(file)) throw new RegionImageError(`“${image}” is of no kind of image that is read here.`);
  const found = await stat(file).then(
    status => status.isFile(),
    () => false,
  );
  if (!found) throw new RegionImageError(`${file} is not there. Say where the images are now.`);
  return file;
}

/** Loaded when needed: it is large, and most windows show no regions. */
async function openImage(file: string) {
  const { default: sharp } = await import('sharp');
  // As the evaluator sees it: stored pixels, without the EXIF orientation.
  return sharp(file, { limitInputPixels: maximumPixels, ignoreIcc: true, failOn: 'none' });
}

interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The part of an image that shows a box and what is around it, in whole pixels. */
export function frameAround([x0, y0, x1, y1]: Box, width: number, height: number): Frame {
  const within = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
  const margin = (side: number): number => Math.max(side * MARGIN.share, MARGIN.pixels);
  const left = Math.floor(within(Math.min(x0, x1) - margin(Math.abs(x1 - x0)), width - 1));
  const top = Math.floor(within(Math.min(y0, y1) - margin(Math.abs(y1 - y0)), height - 1));
  const right = Math.ceil(within(Math.max(x0, x1) + margin(Math.abs(x1 - x0)), width));
  const bottom = Math.ceil(within(Math.max(y0, y1) + margin(Math.abs(y1 - y0)), height));
  return { left, top, width: Math.max(right - left, 1), height: Math.max(bottom - top, 1) };
}

async function draw(file: string, box: Box, frame: Frame, room: { width: number; height: number }) {
  const scale = Math.min(room.width / frame.width, room.height / frame.height, 4);
  const width = Math.max(1, Math.round(frame.width * scale));
  const height = Math.max(1, Math.round(frame.height * scale));
  const bytes = await (await openImage(file))
    .extract(frame)
    .resize(width, height, { fit: 'fill' })
    .flatten({ background: '#808080' })
    .toColourspace('srgb')
    .jpeg({ quality: 85 })
    .toBuffer();
  const [x0, y0, x1, y1] = box;
  const across = width / frame.width;
  const down = height / frame.height;
  return {
    // An array buffer of its own: a part of a shared one would travel as JSON.
    bytes: new Uint8Array(bytes).buffer as ArrayBuffer,
    width,
    height,
    box: [
      (x0 - frame.left) * across,
      (y0 - frame.top) * down,
      (x1 - frame.left) * across,
      (y1 - frame.top) * down,
    ] as Box,
  };
}

async function sizeOf(file: string): Promise<{ width: number; height: number }> {
  const { width, height } = await (await openImage(file)).metadata();
  return { width, height };
}

/** A region with a little of what is around it. @throws RegionImageError when the file cannot be decoded. */
export async function drawThumbnail(file: string, box: Box): Promise<RegionPicture> {
  return decoding(file, async () => {
    const { width, height } = await sizeOf(file);
    return draw(file, box, frameAround(box, width, height), THUMBNAIL);
  });
}

/** The whole image, no larger than a screen. @throws RegionImageError when the file cannot be decoded. */
export async function drawPicture(file: string, box: Box): Promise<RegionPicture> {
  return decoding(file, async () => {
    const { width, height } = await sizeOf(file);
    const side = { width: Math.min(width, PICTURE_SIDE), height: Math.min(height, PICTURE_SIDE) };
    return draw(file, box, { left: 0, top: 0, width, height }, side);
  });
}

async function decoding<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RegionImageError(`${path.basename(file)} cannot be decoded: ${reason}`);
  }
}
