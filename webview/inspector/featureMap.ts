import type { Box, MapResult } from './protocol/requests.ts';

/** How the cells of a map lie on the image. The map covers a square padded right and below. */
export interface MapGrid {
  rows: number;
  columns: number;
  /** Rows and columns that hold image rather than padding. */
  valid: { rows: number; columns: number };
  /** Side of a cell in image pixels. */
  cell: number;
  imageWidth: number;
  imageHeight: number;
  /** Longest side of the input in pixels. */
  size: number;
}

/** The grid of a map of `size` input pixels along the image's longest side. */
export function gridOf(result: Omit<MapGrid, 'cell'> & Pick<MapResult, 'patchSize'>): MapGrid {
  const { rows, columns, valid, imageWidth, imageHeight, patchSize, size } = result;
  return {
    rows,
    columns,
    valid,
    // Not a share of the image: beyond the last whole patch there may be pixels that the model does not see.
    cell: (Math.max(imageWidth, imageHeight) * patchSize) / size,
    imageWidth,
    imageHeight,
    size,
  };
}

/** Row-major index of the patch at a point of the image; −1 outside the part that holds image. */
export function patchAt(grid: MapGrid, point: { x: number; y: number }): number {
  const row = Math.floor(point.y / grid.cell);
  const column = Math.floor(point.x / grid.cell);
  const inside = row >= 0 && column >= 0 && row < grid.valid.rows && column < grid.valid.columns;
  return inside ? row * grid.columns + column : -1;
}

/** Middle of a patch in image pixels, kept inside the image: the last row and column may be cut by its edge. */
export function patchCentre(grid: MapGrid, patch: number): { x: number; y: number } {
  const [x0, y0, x1, y1] = patchBox(grid, patch);
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2 };
}

/** The pixels of a patch that lie in the image. */
export function patchBox(grid: MapGrid, patch: number): Box {
  const row = Math.floor(patch / grid.columns);
  const column = patch % grid.columns;
  return [
    column * grid.cell,
    row * grid.cell,
    Math.min((column + 1) * grid.cell, grid.imageWidth),
    Math.min((row + 1) * grid.cell, grid.imageHeight),
  ];
}

/** The patch one step away, staying inside the image. */
export function neighbourPatch(grid: MapGrid, patch: number, down: number, right: number): number {
  const row = Math.floor(patch / grid.columns) + down;
  const column = (patch % grid.columns) + right;
  const clamp = (value: number, count: number): number => Math.min(Math.max(value, 0), count - 1);
  return clamp(row, grid.valid.rows) * grid.columns + clamp(column, grid.valid.columns);
}

/** "row 3, column 5", counted from 1. */
export function patchName(grid: MapGrid, patch: number): string {
  return `row ${Math.floor(patch / grid.columns) + 1}, column ${(patch % grid.columns) + 1}`;
}

/** True for patches that hold image. */
export function isValidPatch(grid: MapGrid, patch: number): boolean {
  return (
    patch >= 0 &&
    Math.floor(patch / grid.columns) < grid.valid.rows &&
    patch % grid.columns < grid.valid.columns
  );
}

/** Lowest, highest and mean value over the patches that hold image; null where no value is finite. */
export function validStatistics(
  grid: MapGrid,
  values: ArrayLike<number>,
): { lowest: number; highest: number; mean: number; count: number } | null {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let count = 0;
  for (let row = 0; row < grid.valid.rows; row++)
    for (let column = 0; column < grid.valid.columns; column++) {
      const value = values[row * grid.columns + column]!;
      if (!Number.isFinite(value)) continue;
      if (value < lowest) lowest = value;
      if (value > highest) highest = value;
      sum += value;
      count++;
    }
  return count === 0 ? null : { lowest, highest, mean: sum / count, count };
}
