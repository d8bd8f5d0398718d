import { type ColourMapName, colourTable, isColourMapName } from '../../trainer/dense/colourMaps.ts';
import { drawLayer, type Layer } from '../../trainer/dense/overlay.ts';
import type { Rgb } from '../cosineColour.ts';
import type { MapGrid } from './featureMap.ts';
import { cellPlacement, layerPlacement } from './layerPlacement.ts';
import type { Overlay } from './stage.ts';

/** Longest side of smooth clusters on the screen, pixels: their borders are sharp. */
const CLUSTER_SIDE = 640;

/** Pixels for each patch of other smooth overlays, and their longest side: the screen blends between these. */
const SMOOTH_PIXELS = 4;
const SMOOTH_SIDE = 256;

/** The maps offered for values; `difference` is taken where values have a middle. */
export const offeredColourMaps: readonly ColourMapName[] = ['viridis', 'cividis', 'magma', 'inferno', 'grey'];

/** A stored name as a colour map. */
export function colourMapOf(name: string): ColourMapName {
  return isColourMapName(name) ? name : 'viridis';
}

/** Colours of a map at `count` places from its low to its high end. */
export function colourMapStops(name: ColourMapName, count: number): Rgb[] {
  const table = colourTable(name);
  return Array.from({ length: count }, (_, stop) => {
    const start = 3 * Math.round((255 * stop) / (count - 1));
    return [table[start]!, table[start + 1]!, table[start + 2]!];
  });
}

/** A layer as something that can be drawn over the image, made again only when the layer is another one. */
export class CellCanvas {
  readonly #canvas = document.createElement('canvas');
  #layer: Layer | null = null;
  #grid: MapGrid | null = null;
  #smooth = false;

  draw(layer: Layer, grid: MapGrid, smooth: boolean): Overlay {
    const placement = smooth ? layerPlacement(grid, ...screenSize(layer, grid)) : cellPlacement(grid);
    const covered = smooth
      ? { width: grid.imageWidth, height: grid.imageHeight }
      : { width: grid.valid.columns * grid.cell, height: grid.valid.rows * grid.cell };
    if (this.#grid !== grid || this.#smooth !== smooth || !sameLayer(this.#layer, layer)) {
      const { width, height } = placement;
      this.#canvas.width = width;
      this.#canvas.height = height;
      const pixels = new ImageData(drawLayer(layer, placement, smooth), width, height);
      this.#canvas.getContext('2d')?.putImageData(pixels, 0, 0);
      this.#layer = layer;
      this.#grid = grid;
      this.#smooth = smooth;
    }
    return { source: this.#canvas, covered };
  }
}

function screenSize(layer: Layer, { imageWidth, imageHeight, rows, columns }: MapGrid): [number, number] {
  const side =
    layer.kind === 'labels' ? CLUSTER_SIDE : Math.min(SMOOTH_PIXELS * Math.max(rows, columns), SMOOTH_SIDE);
  const scale = Math.min(1, side / Math.max(imageWidth, imageHeight));
  return [Math.max(1, Math.round(imageWidth * scale)), Math.max(1, Math.round(imageHeight * scale))];
}

function sameLayer(a: Layer | null, b: Layer): boolean {
  if (a === null) return false;
  if (a.kind === 'values' && b.kind === 'values')
    return a.values === b.values && a.low === b.low && a.high === b.high && a.colourMap === b.colourMap;
  if (a.kind === 'labels' && b.kind === 'labels') return a.labels === b.labels;
  return a.kind === 'colours' && b.kind === 'colours' && a.rgb === b.rgb;
}
