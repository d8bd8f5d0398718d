/** An icon as pixels at several sizes, each half of the one before. */
export interface Sprite {
  /** Width and height of the drawn part relative to its longer side. */
  readonly width: number;
  readonly height: number;
  /** Share of the drawn part's rectangle that is at least half opaque. */
  readonly coverage: number;
  readonly levels: readonly SpriteLevel[];
}

export interface SpriteLevel {
  readonly width: number;
  readonly height: number;
  /**
   * [height, width, 4], red, green and blue already multiplied by alpha, 0 … 255. A border of one clear pixel lies
   * around the icon. In memory that threads share, so that many may draw the sprite.
   */
  readonly data: Uint8Array<SharedArrayBuffer>;
}

/** Clear pixels. */
const sharedPixels = (width: number, height: number): Uint8Array<SharedArrayBuffer> =>
  new Uint8Array(new SharedArrayBuffer(width * height * 4));

/** Alpha below this belongs to the empty border that icons leave. */
const visibleAlpha = 24;
const smallestLevel = 8;

/** @param rgba [height, width, 4], alpha not multiplied in. Throws when nothing is drawn. */
export function spriteOf(rgba: Uint8Array, width: number, height: number): Sprite {
  const [left, top, right, bottom] = visibleBounds(rgba, width, height);
  let level = premultiply(rgba, width, left, top, right - left, bottom - top);
  const longest = Math.max(right - left, bottom - top);
  const levels = [level];
  while (Math.max(level.width, level.height) > 2 * smallestLevel) {
    level = halve(level);
    levels.push(level);
  }
  const coverage = opaquePixels(levels[0]!) / ((right - left) * (bottom - top));
  return { width: (right - left) / longest, height: (bottom - top) / longest, coverage, levels };
}

/** Half of full opacity decides whose a pixel is. */
export const ownedAlpha = 128;

function opaquePixels({ data }: SpriteLevel): number {
  let count = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at]! >= ownedAlpha) count++;
  return count;
}

function visibleBounds(
  rgba: Uint8Array,
  width: number,
  height: number,
): [left: number, top: number, right: number, bottom: number] {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (rgba[(y * width + x) * 4 + 3]! < visibleAlpha) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
  if (right <= left) throw new Error('the icon draws nothing');
  return [left, top, right, bottom];
}

/** Cuts out a rectangle with a clear pixel around it. */
function premultiply(
  rgba: Uint8Array,
  stride: number,
  left: number,
  top: number,
  width: number,
  height: number,
): SpriteLevel {
  const level = {
    width: width + 2,
    height: height + 2,
    data: sharedPixels(width + 2, height + 2),
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const source = ((top + y) * stride + left + x) * 4;
      const target = ((y + 1) * level.width + x + 1) * 4;
      const alpha = rgba[source + 3]!;
      for (let channel = 0; channel < 3; channel++)
        level.data[target + channel] = Math.round((rgba[source + channel]! * alpha) / 255);
      level.data[target + 3] = alpha;
    }
  return level;
}

/** Means of two by two pixels; the border stays clear. */
function halve({ width, height, data }: SpriteLevel): SpriteLevel {
  const [innerWidth, innerHeight] = [width - 2, height - 2].map(side => Math.ceil(side / 2)) as [
    number,
    number,
  ];
  const half = sharedPixels(innerWidth + 2, innerHeight + 2);
  for (let y = 0; y < innerHeight; y++)
    for (let x = 0; x < innerWidth; x++) {
      const corner = ((2 * y + 1) * width + 2 * x + 1) * 4;
      const target = ((y + 1) * (innerWidth + 2) + x + 1) * 4;
      for (let channel = 0; channel < 4; channel++) {
        const at = corner + channel;
        const sum = data[at]! + data[at + 4]! + data[at + width * 4]! + data[at + width * 4 + 4]!;
        half[target + channel] = (sum + 2) >> 2;
      }
    }
  return { width: innerWidth + 2, height: innerHeight + 2, data: half };
}
