import type { Box } from './protocol/requests.ts';
import type { Point } from './stage.ts';

/**
 * Where the user points, shared by all columns: they show the same image, so a point of it means the same patch of the
 * scene in each. A pinned point or a drawn box stays the query while the pointer moves on.
 */
export class Cursor {
  /** Point under the pointer or reached by keys, in image pixels. */
  hovered: Point | null = null;
  /** Point that a click or Enter fixed. */
  pinned: Point | null = null;
  /** Box drawn with the shift key held. */
  box: Box | null = null;

  /** The point that decides what is computed: the pinned one, else the hovered one. */
  get point(): Point | null {
    return this.pinned ?? this.hovered;
  }

  /** Fixes a point, or frees it when it is fixed already. */
  togglePin(point: Point, same: (a: Point, b: Point) => boolean): void {
    this.box = null;
    this.pinned = this.pinned !== null && same(this.pinned, point) ? null : point;
  }

  clear(): void {
    this.hovered = null;
    this.pinned = null;
    this.box = null;
  }
}
