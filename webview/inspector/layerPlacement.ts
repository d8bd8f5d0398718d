import type { Placement as LayerPlacement } from '../../trainer/dense/overlay.ts';
import type { MapGrid } from './featureMap.ts';

/** Where a map lies on a picture of the whole image, in the terms of the drawing code. */
export function layerPlacement(grid: MapGrid, width: number, height: number): LayerPlacement {
  const { rows, columns, valid, cell, imageWidth, imageHeight, size } = grid;
  const patchSize = (cell * size) / Math.max(imageWidth, imageHeight);
  return { rows, columns, valid, patchSize, size, imageWidth, imageHeight, width, height };
}

/** One pixel for each patch that holds image. */
export function cellPlacement({ rows, columns, valid }: MapGrid): LayerPlacement {
  const [width, height] = [valid.columns, valid.rows];
  const size = Math.max(width, height);
  return { rows, columns, valid, patchSize: 1, size, imageWidth: width, imageHeight: height, width, height };
}
