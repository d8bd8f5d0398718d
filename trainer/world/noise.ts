import { keyedRandom } from '../random.ts';

/** Cells along a side of the table; a power of two, so that places wrap around. */
const side = 128;
const mask = side - 1;

const table = Float32Array.from({ length: side * side }, () => 0);
const random = keyedRandom(1, 'noise of Emoji World');
for (let index = 0; index < table.length; index++) table[index] = random.float();

/** A number in 0 … 1 that belongs to a cell; the same for the same cell. */
export const cellNoise = (x: number, y: number): number => table[((y & mask) * side + (x & mask)) | 0]!;

const smoothStep = (place: number): number => place * place * (3 - 2 * place);

/** Smooth noise in 0 … 1 with a new value at every whole place. */
export function noise(x: number, y: number): number {
  const left = Math.floor(x);
  const top = Math.floor(y);
  const fx = smoothStep(x - left);
  const fy = smoothStep(y - top);
  const row = (top & mask) * side;
  const below = ((top + 1) & mask) * side;
  const a = left & mask;
  const b = (left + 1) & mask;
  const upper = table[row + a]! + fx * (table[row + b]! - table[row + a]!);
  const lower = table[below + a]! + fx * (table[below + b]! - table[below + a]!);
  return upper + fy * (lower - upper);
}

/** Three octaves of `noise`, in 0 … 1. */
export const clouds = (x: number, y: number): number =>
  (4 * noise(x, y) + 2 * noise(2 * x + 17, 2 * y + 5) + noise(4 * x + 41, 4 * y + 29)) / 7;

/** Where a place lies among scattered points, one a cell: how far the nearest is, how far the edge to the next, and whose it is. */
export interface Cell {
  nearest: number;
  edge: number;
  /** 0 … 1, the same all over the cell. */
  value: number;
}

export function scattered(x: number, y: number, cell: Cell): void {
  const column = Math.floor(x);
  const row = Math.floor(y);
  let first = 9;
  let second = 9;
  let value = 0;
  for (let dy = -1; dy <= 1; dy++)
    for (let dx = -1; dx <= 1; dx++) {
      const cx = column + dx;
      const cy = row + dy;
      const px = cx + 0.15 + 0.7 * cellNoise(cx, cy) - x;
      const py = cy + 0.15 + 0.7 * cellNoise(cx + 57, cy + 31) - y;
      const distance = px * px + py * py;
      if (distance < first) {
        second = first;
        first = distance;
        value = cellNoise(cx + 23, cy + 71);
      } else if (distance < second) second = distance;
    }
  cell.nearest = Math.sqrt(first);
  cell.edge = Math.sqrt(second) - cell.nearest;
  cell.value = value;
}
