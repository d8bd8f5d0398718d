/** Image patches as regions: the image is cut into a grid of random rows and columns (paper section 3.2). */

import type { KeyedRandom } from '../random.ts';

export interface GridChoice {
  rows: number;
  columns: number;
}

/**
 * Every grid that may be drawn: rows from 1 … maxSplit, columns between half and twice the rows, so that no patch is
 * very long. 24 choices for maxSplit 6.
 */
export function gridChoices(maxSplit: number): GridChoice[] {
  if (!(Number.isInteger(maxSplit) && maxSplit >= 1)) {
    throw new Error(`the largest split of the grid must be a whole number from 1, not ${maxSplit}`);
  }
  const choices: GridChoice[] = [];
  for (let rows = 1; rows <= maxSplit; rows++) {
    const most = Math.min(2 * rows, maxSplit);
    for (let columns = Math.ceil(rows / 2); columns <= most; columns++) choices.push({ rows, columns });
  }
  return choices;
}

/** n + 1 float32 edges from 0 to 1, counted from both ends towards the middle as `torch.linspace` counts. */
function unitEdges(n: number): Float32Array {
  const edges = new Float32Array(n + 1);
  const step = Math.fround(1 / n);
  const middle = (n + 1) >> 1;
  for (let index = 0; index <= n; index++) {
    edges[index] = index < middle ? step * index : 1 - Math.fround(step * (n - index));
  }
  return edges;
}

/** Cells of a grid in row-major order: [rows × columns, 4] as fractions x0, y0, x1, y1 of the image, float32. */
export function gridCells({ rows, columns }: GridChoice): Float32Array {
  const xs = unitEdges(columns);
  const ys = unitEdges(rows);
  const cells = new Float32Array(rows * columns * 4);
  for (let cell = 0; cell < rows * columns; cell++) {
    const row = Math.floor(cell / columns);
    const column = cell % columns;
    cells.set([xs[column]!, ys[row]!, xs[column + 1]!, ys[row + 1]!], cell * 4);
  }
  return cells;
}

export interface GridPatches extends GridChoice {
  /** [count, 4] fractions x0, y0, x1, y1 of the image, float32. */
  fractions: Float32Array;
}

/** Draws a grid uniformly, shuffles all its cells and keeps the first `maxBoxes`. */
export function drawGridPatches(random: KeyedRandom, maxSplit: number, maxBoxes: number): GridPatches {
  const choices = gridChoices(maxSplit);
  const choice = choices[random.uint(choices.length)]!;
  const cells = gridCells(choice);
  const order = random.shuffle(Array.from({ length: choice.rows * choice.columns }, (_, index) => index));
  const kept = order.slice(0, maxBoxes);
  const fractions = new Float32Array(kept.length * 4);
  kept.forEach((cell, index) => {
    fractions.set(cells.subarray(cell * 4, cell * 4 + 4), index * 4);
  });
  return { ...choice, fractions };
}

/** Fractions [count, 4] in pixels of an image, float32. */
export function fractionsToPixels(fractions: Float32Array, width: number, height: number): Float32Array {
  return fractions.map((fraction, index) => fraction * (index % 2 === 0 ? width : height));
}

/** A box enlarged about its centre by `factor` and clipped to the image; the box itself when the factor is 1. */
export function enlargeBox(
  box: readonly [number, number, number, number],
  factor: number,
  width: number,
  height: number,
): [number, number, number, number] {
  const [x0, y0, x1, y1] = box;
  if (factor === 1) return [x0, y0, x1, y1];
  const centreX = (x0 + x1) / 2;
  const centreY = (y0 + y1) / 2;
  const halfWidth = ((x1 - x0) * factor) / 2;
  const halfHeight = ((y1 - y0) * factor) / 2;
  return [
    Math.max(centreX - halfWidth, 0),
    Math.max(centreY - halfHeight, 0),
    Math.min(centreX + halfWidth, width),
    Math.min(centreY + halfHeight, height),
  ];
}
