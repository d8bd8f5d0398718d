import sharp from 'sharp';
import { writeAtomically, writeFully } from '../checkpoints/atomicFile.ts';
import { colourIndex, colourTable, cssColour } from '../dense/colourMaps.ts';
import { valueRange } from '../dense/similarity.ts';
import type { PixelBox } from '../images/geometry.ts';
import type { Raster } from '../images/raster.ts';
import { toRgb } from './overlayImage.ts';

/**
 * Draws boxes over the image and writes it, at the image's own resolution, as PNG. Each carries its index and cosine;
 * the lowest cosine takes viridis' first colour, the highest its last.
 *
 * @param boxes In pixels of the image.
 * @param cosines One per box.
 */
export async function writeRegionOverlay(
  image: Raster,
  boxes: readonly PixelBox[],
  cosines: readonly number[],
  out: string,
): Promise<void> {
  const { width, height } = image;
  const input = Buffer.from(regionsSvg(image, boxes, cosines));
  const png = await sharp(toRgb(image), { raw: { width, height, channels: 3 } })
    .composite([{ input, left: 0, top: 0 }])
    .removeAlpha()
    .png()
    .toBuffer();
  await writeAtomically(out, handle => writeFully(handle, png), { durable: false });
}

/** Boxes and labels as an SVG document of the image's size. */
export function regionsSvg(
  { width, height }: Pick<Raster, 'width' | 'height'>,
  boxes: readonly PixelBox[],
  cosines: readonly number[],
): string {
  const { low, high } = valueRange(Float32Array.from(cosines));
  const longest = Math.max(width, height);
  const stroke = Math.max(1, Math.round(longest / 400));
  const text = Math.max(9, Math.round(longest / 45));
  const marks = boxes.map((box, index) => {
    const cosine = cosines[index]!;
    const colour = viridis(colourIndex(cosine, low, high));
    return (
      outline(box, stroke, cssColour(colour)) + label(box, `${index}: ${cosine.toFixed(3)}`, text, colour)
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${marks.join('')}</svg>`;
}

function viridis(index: number): number[] {
  return Array.from(colourTable('viridis').subarray(index * 3, index * 3 + 3));
}

const outline = ([x0, y0, x1, y1]: PixelBox, stroke: number, colour: string): string =>
  `<rect x="${x0}" y="${y0}" width="${x1 - x0}" height="${y1 - y0}" fill="none" stroke="${colour}" stroke-width="${stroke}"/>`;

/** A plate in the box's colour inside its upper left corner, as far as that lies in the image. */
function label([x0, y0]: PixelBox, words: string, text: number, colour: readonly number[]): string {
  const [left, top] = [Math.max(x0, 0), Math.max(y0, 0)];
  const [red, green, blue] = colour as [number, number, number];
  const ink = 0.299 * red + 0.587 * green + 0.114 * blue > 128 ? '#000000' : '#ffffff';
  const wide = Math.ceil(words.length * text * 0.62);
  return (
    `<rect x="${left}" y="${top}" width="${wide}" height="${Math.ceil(1.25 * text)}" fill="${cssColour(colour)}"/>` +
    `<text x="${left + wide / 2}" y="${top + text}" text-anchor="middle" font-family="monospace" font-size="${text}" fill="${ink}">${words}</text>`
  );
}
