import type { PatchPreview } from '../../trainer/protocol.ts';

/** [x0, y0, x1, y1]. */
export type Box = PatchPreview['boxes'][number];

export type Direction = 'left' | 'right' | 'up' | 'down';

/** Regions lie over each other; patches of a grid do not. */
export const areRegions = ({ rows }: PatchPreview): boolean => rows === 0;

/**
 * Where the number of a box has its middle, in CSS pixels: in the middle of a patch, in the upper left corner of a region,
 * since nested regions may share their middle.
 *
 * @param scale CSS pixels in a pixel of the file.
 * @param size Of the number's font, CSS pixels.
 */
export function numberPlace(
  preview: PatchPreview,
  index: number,
  scale: { x: number; y: number },
  size: number,
): { x: number; y: number } {
  const box = preview.boxes[index]!;
  if (areRegions(preview)) return { x: box[0] * scale.x + size * 1.8, y: box[1] * scale.y + size };
  const [x, y] = centre(box);
  return { x: x * scale.x, y: y * scale.y };
}

/** Row and column of a box in the grid of a preview, counted from 1. Regions that are no grid patches are numbered. */
export function cellOf(preview: PatchPreview, index: number): { row: number; column: number } {
  if (areRegions(preview)) return { row: index + 1, column: 0 };
  const [x, y] = centre(preview.boxes[index]!);
  const cell = (position: number, extent: number, cells: number): number =>
    Math.min(Math.max(Math.floor((position / extent) * cells), 0), cells - 1) + 1;
  return { row: cell(y, preview.height, preview.rows), column: cell(x, preview.width, preview.columns) };
}

/** The box in reading order: `position` 0 is the first of the topmost row. */
export function readingOrder(preview: PatchPreview): number[] {
  const cells = preview.boxes.map((_, index) => cellOf(preview, index));
  return cells
    .map((_, index) => index)
    .sort((a, b) => cells[a]!.row - cells[b]!.row || cells[a]!.column - cells[b]!.column);
}

/**
 * The box that an arrow key leads to: the nearest one whose centre lies in that direction, deviations across it
 * counting double. The box itself when there is none. Patches of a step may leave cells of the grid out.
 */
export function neighbour(boxes: readonly Box[], index: number, direction: Direction): number {
  const [x, y] = centre(boxes[index]!);
  let nearest = index;
  let shortest = Number.POSITIVE_INFINITY;
  boxes.forEach((box, other) => {
    const [otherX, otherY] = centre(box);
    const along = { left: x - otherX, right: otherX - x, up: y - otherY, down: otherY - y }[direction];
    const across =
      direction === 'left' || direction === 'right' ? Math.abs(otherY - y) : Math.abs(otherX - x);
    const distance = along + 2 * across;
    if (along > 0.5 && distance < shortest) {
      nearest = other;
      shortest = distance;
    }
  });
  return nearest;
}

/** The box that holds a point, -1 when none does. Coordinates in pixels of the file, as the boxes. */
export function boxAt(boxes: readonly Box[], x: number, y: number): number {
  return boxes.findIndex(([x0, y0, x1, y1]) => x >= x0 && x < x1 && y >= y0 && y < y1);
}

/** Lowest, mean and highest cosine of a preview; null when none is finite. */
export function cosineStatistics(
  cosines: readonly number[],
): { lowest: number; mean: number; highest: number } | null {
  const finite = cosines.filter(Number.isFinite);
  if (finite.length === 0) return null;
  const sum = finite.reduce((total, cosine) => total + cosine, 0);
  return { lowest: Math.min(...finite), mean: sum / finite.length, highest: Math.max(...finite) };
}

function centre([x0, y0, x1, y1]: Box): [x: number, y: number] {
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}
