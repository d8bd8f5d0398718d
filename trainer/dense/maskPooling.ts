/** Mean features under binary masks, as rows of a pooling matrix like those of RoIAlign. */

import type { Mask } from './cocoMask.ts';

/**
 * One row per mask: 1 / area on the cells inside, 0 outside; an empty mask gives a zero row.
 *
 * @param masks [count, cells], non-zero inside.
 * @param cells Cells of the feature map.
 */
export function maskPoolingRows(masks: Uint8Array, cells: number): Float32Array {
  if (cells < 1 || masks.length % cells !== 0) {
    throw new Error(`${masks.length} mask values are not whole masks of ${cells} cells`);
  }
  const rows = new Float32Array(masks.length);
  for (let start = 0; start < masks.length; start += cells) {
    let area = 0;
    for (let cell = 0; cell < cells; cell++) if (masks[start + cell] !== 0) area++;
    if (area === 0) continue;
    for (let cell = 0; cell < cells; cell++) if (masks[start + cell] !== 0) rows[start + cell] = 1 / area;
  }
  return rows;
}

/**
 * Weights of a mask of pixels on the cells of a feature map in student geometry: the area of each cell that the mask
 * covers, divided by that of all cells.
 *
 * @param cellsPerPixel Cells along a pixel of the image: its scale to the student's input ÷ patch size.
 * @param side Cells along a side of the padded, square map.
 * @returns [side · side], row-major, adding up to 1; zeros when the mask is empty.
 */
export function maskCellWeights(mask: Mask, cellsPerPixel: number, side: number): Float32Array {
  const weights = new Float64Array(side * side);
  const row = new Float64Array(side);
  for (let y = 0; y < mask.height; y++) {
    if (!rowOfCells(mask, y, cellsPerPixel, row)) continue;
    forOverlaps(y * cellsPerPixel, (y + 1) * cellsPerPixel, side, (cellRow, height) => {
      for (let column = 0; column < side; column++)
        weights[cellRow * side + column]! += row[column]! * height;
    });
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return total === 0 ? new Float32Array(side * side) : Float32Array.from(weights, weight => weight / total);
}

/** Lengths of one row of pixels inside the mask, in each column of cells; false when there are none. */
function rowOfCells({ width, pixels }: Mask, y: number, cellsPerPixel: number, row: Float64Array): boolean {
  row.fill(0);
  let any = false;
  for (let from = 0; from < width; from++) {
    if (pixels[y * width + from] === 0) continue;
    let to = from + 1;
    while (to < width && pixels[y * width + to] !== 0) to++;
    forOverlaps(from * cellsPerPixel, to * cellsPerPixel, row.length, (cell, length) => {
      row[cell]! += length;
    });
    any = true;
    from = to;
  }
  return any;
}

/** Cells that an interval touches, each with the length inside it. */
function forOverlaps(
  from: number,
  to: number,
  cells: number,
  visit: (cell: number, length: number) => void,
): void {
  const end = Math.min(Math.ceil(to), cells);
  for (let cell = Math.floor(from); cell < end; cell++)
    visit(cell, Math.min(to, cell + 1) - Math.max(from, cell));
}

/**
 * Dense features in student geometry pooled over masks: their mean, weighted by how much of each cell is covered.
 *
 * @param features [side · side, D].
 * @param masks One per row of `pooled`; where it is null or covers nothing, the row stays as it is.
 * @param pooled [n, D]; rows of masks are replaced by rows of unit norm.
 */
export function poolMasksInto(
  pooled: Float32Array,
  { features, side }: { features: Float32Array; side: number },
  cellsPerPixel: number,
  masks: Iterable<Mask | null>,
): void {
  const dimension = features.length / (side * side);
  let start = 0;
  for (const mask of masks) {
    const row = pooled.subarray(start, start + dimension);
    start += dimension;
    const weights = mask && maskCellWeights(mask, cellsPerPixel, side);
    if (!weights?.some(weight => weight > 0)) continue;
    row.fill(0);
    weights.forEach((weight, cell) => {
      if (weight === 0) return;
      for (let channel = 0; channel < dimension; channel++)
        row[channel]! += weight * features[cell * dimension + channel]!;
    });
    const norm = Math.max(Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)), 1e-12);
    for (let channel = 0; channel < dimension; channel++) row[channel]! /= norm;
  }
}
