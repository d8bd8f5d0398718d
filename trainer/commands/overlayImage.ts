import sharp from 'sharp';
import { writeAtomically, writeFully } from '../checkpoints/atomicFile.ts';
import type { FeatureMap, MapSize } from '../dense/featureMap.ts';
import { blendLayer, drawLayer, type Layer, type Placement } from '../dense/overlay.ts';
import { fromFloat16, toFloat16 } from '../float16.ts';
import { placeAsRgb, type Raster } from '../images/raster.ts';
import { denseOptions, type ImageSubject, withImage } from './imageSubject.ts';
import type { OverlayOptions } from './overlayOptions.ts';

/** An image with its dense features, ready for a view to be drawn over it. */
export interface MappedImage {
  image: Raster;
  map: FeatureMap;
  placement: Placement;
}

/** Loads the model, decodes the image and reads its dense features. */
export function mapImage(options: OverlayOptions): Promise<MappedImage> {
  return withImage(options, async subject => {
    const { tower, image, size } = subject;
    const read = denseOptions(options.readOut, options.layer);
    const { features, side, valid } = await tower.features.dense(image, size, read);
    const grid = { rows: side, columns: side, valid };
    return {
      image,
      map: { features: asKept(features), dimension: features.length / (side * side), ...grid },
      placement: placeMap(subject, grid),
    };
  });
}

/** The features as the inspector keeps them, in float16, so that both draw the same pixels. */
const asKept = (features: Float32Array): Float32Array => fromFloat16(toFloat16(features));

/** Where a map lies on a picture of its image's own size. */
export function placeMap({ tower, image, size }: ImageSubject, map: MapSize): Placement {
  const { patchSize } = tower.model.architecture;
  const { width, height } = image;
  return { ...map, patchSize, size, imageWidth: width, imageHeight: height, width, height };
}

/** Draws a layer over the image and writes it, at the image's own resolution, as PNG. */
export async function writeOverlay(
  { image, placement }: Pick<MappedImage, 'image' | 'placement'>,
  layer: Layer,
  { out, opacity, bilinear }: Pick<OverlayOptions, 'out' | 'opacity' | 'bilinear'>,
): Promise<void> {
  const pixels = blendLayer(toRgba(image), drawLayer(layer, placement, bilinear), opacity);
  const { width, height } = image;
  const png = await sharp(pixels, { raw: { width, height, channels: 4 } })
    .removeAlpha()
    .png()
    .toBuffer();
  await writeAtomically(out, handle => writeFully(handle, png), { durable: false });
}

/** RGB [height, width, 3]. */
export function toRgb(image: Raster): Uint8Array {
  const rgb = new Uint8Array(image.width * image.height * 3);
  placeAsRgb(image, rgb, image.width, 0, 0);
  return rgb;
}

/** Opaque RGBA [height, width, 4]. */
function toRgba(image: Raster): Uint8ClampedArray<ArrayBuffer> {
  const { width, height } = image;
  const rgb = toRgb(image);
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    rgba[to] = rgb[from]!;
    rgba[to + 1] = rgb[from + 1]!;
    rgba[to + 2] = rgb[from + 2]!;
  }
  return rgba;
}

/** Fields as RFC 4180 quotes them. */
const csvLine = (fields: readonly (string | number)[]): string =>
  fields
    .map(field => (/[",\r\n]/.test(String(field)) ? `"${String(field).replaceAll('"', '""')}"` : field))
    .join(',');

/** Writes a line a patch that holds image: row, column, then what `cells` gives for the patch. */
export async function writeCellTable(
  file: string | null,
  { map }: { map: MapSize },
  headings: readonly string[],
  cells: (cell: number, index: number) => readonly (number | string)[],
): Promise<void> {
  if (file === null) return;
  const { rows, columns } = map.valid;
  const lines = [csvLine(['row', 'column', ...headings])];
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      lines.push(csvLine([row, column, ...cells(row * map.columns + column, row * columns + column)]));
  const bytes = new TextEncoder().encode(`${lines.join('\n')}\n`);
  await writeAtomically(file, handle => writeFully(handle, bytes), { durable: false });
}
