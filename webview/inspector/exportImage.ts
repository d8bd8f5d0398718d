import { clusterColour } from '../../trainer/dense/colourMaps.ts';
import { blendLayer, drawLayer, type Layer } from '../../trainer/dense/overlay.ts';
import { cssColour } from '../cosineColour.ts';
import { formatSignificant } from '../format.ts';
import type { PictureContext } from '../plate.ts';
import type { Palette } from '../theme.ts';
import { colourMapStops } from './cellPixels.ts';
import type { MapGrid } from './featureMap.ts';
import { layerPlacement } from './layerPlacement.ts';
import type { Picture } from './views/view.ts';

export interface PictureOptions {
  image: CanvasImageSource | null;
  grid: MapGrid;
  picture: Picture;
  opacity: number;
  smooth: boolean;
  /** Colours and numbers under the picture; null for the picture alone. */
  legend: { title: string } | null;
  palette: Palette;
}

/** A column at the resolution of the image file, drawn by the code that the command line draws with. */
export function drawPicture(options: PictureOptions): OffscreenCanvas {
  const { grid, picture, image } = options;
  const { imageWidth: width, imageHeight: height } = grid;
  const unit = Math.max(12, Math.round(Math.max(width, height) / 50));
  const strip = options.legend === null ? 0 : stripHeight(picture, width, unit);
  const canvas = new OffscreenCanvas(width, height + strip);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('The picture cannot be drawn here.');
  context.fillStyle = 'black';
  context.fillRect(0, 0, width, height);
  if (image !== null) context.drawImage(image, 0, 0, width, height);
  if (picture.cells !== null) {
    const pixels = context.getImageData(0, 0, width, height);
    const layer = drawLayer(picture.cells, layerPlacement(grid, width, height), options.smooth);
    blendLayer(pixels.data, layer, options.opacity);
    context.putImageData(pixels, 0, 0);
  }
  picture.marks?.(context, { left: 0, top: 0, scale: 1 });
  if (options.legend !== null) drawStrip(context, options, unit, strip);
  return canvas;
}

export async function pngOf(canvas: OffscreenCanvas): Promise<ArrayBuffer> {
  return (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer();
}

/** Below the picture: what it is, its numbers, and the scale or the clusters. */
function drawStrip(
  context: PictureContext,
  { grid, picture, legend, palette }: PictureOptions,
  unit: number,
  strip: number,
): void {
  const { imageWidth: width, imageHeight: top } = grid;
  context.fillStyle = palette.background;
  context.fillRect(0, top, width, strip);
  context.fillStyle = palette.foreground;
  context.textBaseline = 'middle';
  context.textAlign = 'left';
  context.font = `600 ${unit}px ${palette.fontFamily}`;
  context.fillText(legend?.title ?? '', unit, top + unit * 0.9, width - 2 * unit);
  context.font = `${unit * 0.85}px ${palette.fontFamily}`;
  context.fillText(picture.facts, unit, top + unit * 2.2, width - 2 * unit);
  if (picture.cells?.kind === 'values')
    drawScale(context, picture.cells, width, top + unit * 3.1, unit, palette);
  if (picture.shares !== undefined) drawShares(context, picture, width, top + unit * 3.3, unit, palette);
}

function drawScale(
  context: PictureContext,
  { low, high, colourMap }: Extract<Layer, { kind: 'values' }>,
  width: number,
  top: number,
  unit: number,
  palette: Palette,
): void {
  const length = width - 2 * unit;
  const gradient = context.createLinearGradient(unit, 0, unit + length, 0);
  const stops = colourMapStops(colourMap, 32);
  stops.forEach((colour, index) => {
    gradient.addColorStop(index / (stops.length - 1), cssColour(colour));
  });
  context.fillStyle = gradient;
  context.fillRect(unit, top, length, unit * 0.6);
  context.fillStyle = palette.foreground;
  for (const [share, align] of [
    [0, 'left'],
    [0.5, 'center'],
    [1, 'right'],
  ] as const) {
    context.textAlign = align;
    context.fillText(formatSignificant(low + share * (high - low)), unit + share * length, top + unit * 1.2);
  }
}

/** Clusters stand in one line; names need room, and as many lines as it takes. */
function sharesInLine({ shares = [], names }: Picture, width: number, unit: number): number {
  if (names === undefined) return Math.max(shares.length, 1);
  return Math.max(1, Math.min(shares.length, Math.floor((width - 2 * unit) / (9 * unit))));
}

function stripHeight(picture: Picture, width: number, unit: number): number {
  const lines = Math.ceil((picture.shares?.length ?? 1) / sharesInLine(picture, width, unit));
  return unit * (5 + 1.3 * (lines - 1));
}

function drawShares(
  context: PictureContext,
  picture: Picture,
  width: number,
  top: number,
  unit: number,
  palette: Palette,
): void {
  const { shares = [], names } = picture;
  const inLine = sharesInLine(picture, width, unit);
  const step = (width - 2 * unit) / inLine;
  shares.forEach((share, label) => {
    const left = unit + (label % inLine) * step;
    const line = top + Math.floor(label / inLine) * unit * 1.3;
    context.fillStyle = cssColour(clusterColour(label));
    context.fillRect(left, line, unit * 0.8, unit * 0.8);
    context.fillStyle = palette.foreground;
    const text = `${names?.[label] || label + 1}: ${Math.round(share * 100)} %`;
    context.fillText(text, left + unit, line + unit * 0.45, step - unit * 1.2);
  });
}
