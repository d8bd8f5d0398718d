/** Where cells of the matrix lie. Sizes in CSS pixels. */

export const MAXIMUM_CELL = 48;

/** Cells must be so large before their classes are named, and before their numbers are written. */
export const LABEL_CELL = 11;
export const NUMBER_CELL = 30;

export interface MatrixLayout {
  /** Classes along each side. */
  count: number;
  cell: number;
  /** Room for the names of the classes, left and above. */
  left: number;
  top: number;
}

/** Room left and above. */
export type Room = Pick<MatrixLayout, 'left' | 'top'>;

/** Room without names, for the names of the axes. */
const BARE: Room = { left: 24, top: 24 };

/** Room for names of this width; longer ones are cut. */
export function roomFor(longest: number): Room {
  return { left: Math.min(longest + 14, 140), top: Math.min(longest + 14, 110) };
}

export function layoutOf(count: number, cell: number, names: Room): MatrixLayout {
  return { count, cell, ...(cell >= LABEL_CELL ? names : BARE) };
}

/** Side of a cell at which the whole matrix is in sight. */
export function fittingCell(count: number, width: number, height: number, names: Room): number {
  const sideIn = (room: Room): number =>
    Math.min((width - room.left) / Math.max(count, 1), (height - room.top) / Math.max(count, 1));
  const named = Math.min(sideIn(names), MAXIMUM_CELL);
  if (named >= LABEL_CELL) return named;
  return Math.max(Math.min(sideIn(BARE), LABEL_CELL - 0.01), 0.05);
}

/** Width and height of the whole matrix. */
export function extentOf({ count, cell, left, top }: MatrixLayout): { width: number; height: number } {
  return { width: left + count * cell, height: top + count * cell };
}

/** First row or column in sight and the one after the last. */
export function visibleRange(
  { count, cell }: MatrixLayout,
  scroll: number,
  room: number,
): { first: number; last: number } {
  return {
    first: Math.max(Math.floor(scroll / cell), 0),
    last: Math.min(Math.ceil((scroll + Math.max(room, 0)) / cell), count),
  };
}

/** The cell under a point of the canvas; null beside the matrix. */
export function cellAt(
  layout: MatrixLayout,
  scroll: { x: number; y: number },
  point: { x: number; y: number },
): { row: number; column: number } | null {
  const { left, top, cell, count } = layout;
  if (point.x < left || point.y < top) return null;
  const row = Math.floor((point.y - top + scroll.y) / cell);
  const column = Math.floor((point.x - left + scroll.x) / cell);
  return row < count && column < count ? { row, column } : null;
}

/** Scroll position that keeps what lies under a point there when the cells change their size. */
export function zoomedScroll(
  before: MatrixLayout,
  after: MatrixLayout,
  scroll: number,
  point: number,
  axis: 'left' | 'top',
): number {
  const place = (Math.max(point - before[axis], 0) + scroll) / before.cell;
  return Math.max(place * after.cell - Math.max(point - after[axis], 0), 0);
}
