/** The truth of a scene in COCO's formats. */
import type { PixelBox } from '../images/geometry.ts';
import type { Scene } from './scene.ts';

/** A segment as it can be seen. */
export interface VisibleSegment {
  readonly id: number;
  readonly category: number;
  readonly isThing: boolean;
  /** Pixels. */
  readonly area: number;
  /** x0, y0, x1, y1, the smallest box around its pixels. */
  readonly box: PixelBox;
  /** Share of it that nothing hides and the frame does not cut off, about. */
  readonly visible: number;
}

/** Segments of fewer pixels, and things of which less can be seen, are not told of: nobody could name them. */
const fewestPixels = 16;
const leastVisible = 0.1;

/** What of each segment can be seen, in the order of the ids; hardly visible ones are left out. */
export function visibleSegments({ width, height, ids, segments }: Scene): VisibleSegment[] {
  const count = segments.length + 1;
  const areas = new Uint32Array(count);
  const [left, top] = [new Int32Array(count).fill(width), new Int32Array(count).fill(height)];
  const [right, bottom] = [new Int32Array(count), new Int32Array(count)];
  for (let y = 0, pixel = 0; y < height; y++)
    for (let x = 0; x < width; x++, pixel++) {
      const id = ids[pixel]!;
      areas[id]!++;
      if (x < left[id]!) left[id] = x;
      if (x >= right[id]!) right[id] = x + 1;
      if (y < top[id]!) top[id] = y;
      bottom[id] = y + 1;
    }
  return segments
    .filter(
      ({ id, isThing, whole }) => areas[id]! >= Math.max(fewestPixels, isThing ? leastVisible * whole : 0),
    )
    .map(({ id, category, isThing, whole }) => ({
      id,
      category,
      isThing,
      area: areas[id]!,
      box: [left[id]!, top[id]!, right[id]!, bottom[id]!],
      visible: Math.min(1, areas[id]! / whole),
    }));
}

/** COCO's `bbox`: left, top, width, height. */
export const cocoBox = ([x0, y0, x1, y1]: PixelBox): [number, number, number, number] => [
  x0,
  y0,
  x1 - x0,
  y1 - y0,
];

/** The pixels of a panoptic PNG, [height, width, 3]: id = red + 256 · green + 256² · blue; 0 where nothing is told of. */
export function panopticPixels({ ids }: Scene, visible: readonly VisibleSegment[]): Uint8Array {
  const known = new Set(visible.map(({ id }) => id));
  const pixels = new Uint8Array(ids.length * 3);
  ids.forEach((id, pixel) => {
    if (known.has(id)) pixels[3 * pixel] = id;
  });
  return pixels;
}

/** The mask of a segment as COCO's run lengths: column by column, pixels outside first. */
export function runLengths(
  { width, height, ids }: Scene,
  id: number,
): { size: [number, number]; counts: number[] } {
  const counts = [0];
  let inside = false;
  for (let x = 0; x < width; x++)
    for (let y = 0; y < height; y++) {
      if ((ids[y * width + x] === id) !== inside) {
        inside = !inside;
        counts.push(0);
      }
      counts[counts.length - 1]!++;
    }
  return { size: [height, width], counts };
}
