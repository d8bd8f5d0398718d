/** Pictures of labels over their image. */
import path from 'node:path';
import sharp from 'sharp';
import { makeDirectories, writeAtomically, writeFully } from '../checkpoints/atomicFile.ts';
import { clusterColour } from '../dense/colourMaps.ts';
import { placeAsRgb, type Raster } from '../images/raster.ts';
import { ignoredLabel } from './confusionMatrix.ts';
import type { SegmentOverlay, SegmentSide } from './protocol.ts';

/** Longest side of a picture in pixels. */
const longestSide = 640;
const opacity = 0.6;

export interface OverlayImage {
  /** Position among the images, from 0. */
  index: number;
  /** Path of the image below the image folder. */
  name: string;
  image: Raster;
  truth: Uint16Array;
  named: Partial<Record<SegmentSide, Uint16Array>>;
}

/**
 * Writes the truth and what each side named over the image, as JPEG files.
 *
 * @param report Path of the report, which names them relative to its folder.
 */
export async function writeOverlays(
  folder: string,
  report: string,
  { index, name, image, truth, named }: OverlayImage,
): Promise<SegmentOverlay> {
  await makeDirectories(path.resolve(folder));
  const number = String(index).padStart(4, '0');
  const write = async (kind: string, labels: Uint16Array): Promise<string> => {
    const file = path.resolve(folder, `${number}-${kind}.jpg`);
    const jpeg = await pictureOf(image, labels);
    await writeAtomically(file, handle => writeFully(handle, jpeg), { durable: false });
    return path.relative(path.dirname(path.resolve(report)), file).replaceAll(path.sep, '/');
  };
  return {
    image: name.replaceAll(path.sep, '/'),
    truth: await write('truth', truth),
    before: named.before ? await write('before', named.before) : null,
    after: await write('after', named.after!),
  };
}

/** JPEG of the image in the colours of its classes; what has no class is darkened. */
function pictureOf(image: Raster, labels: Uint16Array): Promise<Buffer> {
  const { width, height } = image;
  const rgb = new Uint8Array(width * height * 3);
  placeAsRgb(image, rgb, width, 0, 0);
  for (let pixel = 0; pixel < labels.length; pixel++) {
    const label = labels[pixel]!;
    const colour = label === ignoredLabel ? [0, 0, 0] : clusterColour(label);
    for (let channel = 0; channel < 3; channel++) {
      const at = pixel * 3 + channel;
      rgb[at] = Math.round(rgb[at]! * (1 - opacity) + colour[channel]! * opacity);
    }
  }
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .resize({ width: longestSide, height: longestSide, fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality: 88 })
    .toBuffer();
}
