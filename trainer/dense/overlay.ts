/**
 * Feature maps as pixels over their image. The panel and the command line draw with these functions, so that both
 * show the same picture.
 */

import { fitLongestSide } from '../images/geometry.ts';
import { axisSamples } from './axisSamples.ts';
import { type ColourMapName, clusterPalette, colourIndex, colourTable } from './colourMaps.ts';
import type { MapSize } from './featureMap.ts';

/** What is drawn, by cell of the map; cells without a value (padding) stay transparent. */
export type Layer =
  /** values: [rows, columns], NaN where there is none; `low` and `high` take the ends of the colour map. */
  | { kind: 'values'; values: Float32Array; low: number; high: number; colourMap: ColourMapName }
  /** labels: [rows, columns], −1 where there is none; colours: number in the cluster palette by label. */
  | { kind: 'labels'; labels: Int16Array; colours: ArrayLike<number> }
  /** rgb: [rows, columns, 3], 0 … 255. */
  | { kind: 'colours'; rgb: Uint8Array };

/** Where a map lies on its picture. */
export interface Placement extends MapSize {
  /** Pixels of the student image along a side of a patch. */
  patchSize: number;
  /** Side of the padded student image in pixels: its longest side is the image's. */
  size: number;
  /** Size of the image file in pixels. */
  imageWidth: number;
  imageHeight: number;
  /** Size of the picture that is drawn, in pixels: that of the file, or smaller for a screen. */
  width: number;
  height: number;
}

/**
 * A layer at the size of the picture: RGBA [height, width, 4], opaque where the map has a value, transparent elsewhere.
 *
 * @param smooth Bilinear instead of one flat square a patch: numbers before they are coloured, colours directly, and
 *   labels by the larger weight, so that clusters get round borders and no new colours.
 */
export function drawLayer(
  layer: Layer,
  placement: Placement,
  smooth: boolean,
): Uint8ClampedArray<ArrayBuffer> {
  checkLayer(layer, placement);
  const { width, height, imageWidth, imageHeight, size, patchSize, valid, columns } = placement;
  const fitted = fitLongestSide(imageWidth, imageHeight, size);
  const xs = axisSamples(width, fitted.width, patchSize, valid.columns);
  const ys = axisSamples(height, fitted.height, patchSize, valid.rows);
  const pixels = new Uint8ClampedArray(width * height * 4);
  const paint = painter(layer, pixels);
  const rowBytes = width * 4;
  for (let y = 0; y < height; y++) {
    const start = y * rowBytes;
    const row = ys.nearest[y]! * columns;
    const above = ys.first[y]! * columns;
    const below = ys.second[y]! * columns;
    const lower = ys.share[y]!;
    if (smooth)
      for (let x = 0; x < width; x++) {
        const left = xs.first[x]!;
        const right = xs.second[x]!;
        const share = xs.share[x]!;
        paint.blended(start + 4 * x, above + left, above + right, below + left, below + right, share, lower);
      }
    else if (y > 0 && ys.nearest[y] === ys.nearest[y - 1]) pixels.copyWithin(start, start - rowBytes, start);
    else for (let x = 0; x < width; x++) paint.flat(start + 4 * x, row + xs.nearest[x]!);
  }
  return pixels;
}

function checkLayer(layer: Layer, { rows, columns }: MapSize): void {
  const cells = { values: () => count(layer), labels: () => count(layer), colours: () => count(layer) / 3 };
  if (cells[layer.kind]() !== rows * columns)
    throw new Error(`the ${layer.kind} to draw are not those of a ${rows} × ${columns} map`);
}

function count(layer: Layer): number {
  if (layer.kind === 'values') return layer.values.length;
  return layer.kind === 'labels' ? layer.labels.length : layer.rgb.length;
}

/** Writes the pixel at `target` from one cell, or from the four around it. */
interface Painter {
  flat(target: number, cell: number): void;
  /** Cells left and right above, left and right below; the shares of the right and of the lower ones. */
  blended(target: number, a: number, b: number, c: number, d: number, right: number, lower: number): void;
}

function painter(layer: Layer, pixels: Uint8ClampedArray): Painter {
  if (layer.kind === 'values') return valuePainter(layer, pixels);
  return layer.kind === 'labels' ? labelPainter(layer, pixels) : colourPainter(layer, pixels);
}

const mix = (a: number, b: number, c: number, d: number, right: number, lower: number): number =>
  (a * (1 - right) + b * right) * (1 - lower) + (c * (1 - right) + d * right) * lower;

function copyColour(pixels: Uint8ClampedArray, target: number, colours: Readonly<Uint8Array>, start: number) {
  pixels[target] = colours[start]!;
  pixels[target + 1] = colours[start + 1]!;
  pixels[target + 2] = colours[start + 2]!;
  pixels[target + 3] = 255;
}

function valuePainter(
  { values, low, high, colourMap }: Extract<Layer, { kind: 'values' }>,
  pixels: Uint8ClampedArray,
): Painter {
  const table = colourTable(colourMap);
  const paint = (target: number, value: number): void => {
    if (!Number.isNaN(value)) copyColour(pixels, target, table, 3 * colourIndex(value, low, high));
  };
  return {
    flat: (target, cell) => paint(target, values[cell]!),
    blended: (target, a, b, c, d, right, lower) =>
      paint(target, mix(values[a]!, values[b]!, values[c]!, values[d]!, right, lower)),
  };
}

function labelPainter(
  { labels, colours }: Extract<Layer, { kind: 'labels' }>,
  pixels: Uint8ClampedArray,
): Painter {
  const paletteSize = clusterPalette.length / 3;
  const paint = (target: number, label: number): void => {
    if (label >= 0) copyColour(pixels, target, clusterPalette, 3 * (colours[label]! % paletteSize));
  };
  return {
    flat: (target, cell) => paint(target, labels[cell]!),
    blended: (target, a, b, c, d, right, lower) =>
      paint(target, heaviestLabel(labels[a]!, labels[b]!, labels[c]!, labels[d]!, right, lower)),
  };
}

/** Of the labels of four cells the one with the largest bilinear weight. */
function heaviestLabel(a: number, b: number, c: number, d: number, right: number, lower: number): number {
  if (a === b && a === c && a === d) return a;
  let best = a;
  let most = -1;
  for (const label of [a, b, c, d]) {
    const weight = mix(+(a === label), +(b === label), +(c === label), +(d === label), right, lower);
    if (weight > most) {
      most = weight;
      best = label;
    }
  }
  return best;
}

function colourPainter({ rgb }: Extract<Layer, { kind: 'colours' }>, pixels: Uint8ClampedArray): Painter {
  return {
    flat: (target, cell) => copyColour(pixels, target, rgb, cell * 3),
    blended: (target, a, b, c, d, right, lower) => {
      for (let channel = 0; channel < 3; channel++)
        pixels[target + channel] = mix(
          rgb[a * 3 + channel]!,
          rgb[b * 3 + channel]!,
          rgb[c * 3 + channel]!,
          rgb[d * 3 + channel]!,
          right,
          lower,
        );
      pixels[target + 3] = 255;
    },
  };
}

/**
 * A layer over its image, in place: image · (1 − opacity) + layer · opacity wherever the layer has a pixel.
 *
 * @param image RGBA [height, width, 4].
 * @param layer RGBA [height, width, 4] from `drawLayer`.
 * @param opacity 0 … 1.
 */
export function blendLayer(
  image: Uint8ClampedArray<ArrayBuffer>,
  layer: Uint8ClampedArray,
  opacity: number,
): Uint8ClampedArray<ArrayBuffer> {
  if (image.length !== layer.length)
    throw new Error(`a layer of ${layer.length} bytes does not fit an image of ${image.length}`);
  for (let pixel = 0; pixel < image.length; pixel += 4) {
    const share = (opacity * layer[pixel + 3]!) / 255;
    for (let channel = pixel; channel < pixel + 3; channel++)
      image[channel] = image[channel]! + share * (layer[channel]! - image[channel]!);
  }
  return image;
}
