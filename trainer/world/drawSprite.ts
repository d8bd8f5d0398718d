import { ownedAlpha, type Sprite, type SpriteLevel } from './sprite.ts';

/** Pixels that are painted on, and who owns each of them. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3], 0 … 255. */
  readonly rgb: Uint8Array;
  /** [height, width], id of the segment on top. */
  readonly ids: Uint8Array;
}

/** How a sprite lies on the canvas. */
export interface SpritePose {
  /** Centre in pixels. */
  x: number;
  y: number;
  /** Pixels of the sprite's longer side, across and down before it is turned. */
  across: number;
  down: number;
  /** Radians, clockwise as seen. */
  angle: number;
  mirrored: boolean;
}

/** Pixels that a sprite would own on a canvas without edges and without anything before it. */
export const wholeArea = (sprite: Sprite, { across, down }: SpritePose): number =>
  sprite.coverage * across * sprite.width * down * sprite.height;

/** Nine factors, row by row, that make new red, green and blue of the old. */
export type ColourMatrix = readonly number[];

/**
 * Draws a sprite with bilinear sampling of the level that is nearest above its size, and marks the pixels it owns.
 *
 * @returns Pixels that it owns now.
 */
export function drawSprite(
  canvas: Canvas,
  sprite: Sprite,
  pose: SpritePose,
  colours: ColourMatrix,
  id: number,
): number {
  const level = levelFor(sprite, Math.max(pose.across, pose.down));
  const [halfWidth, halfHeight] = [(pose.across * sprite.width) / 2, (pose.down * sprite.height) / 2];
  const [cosine, sine] = [Math.cos(pose.angle), Math.sin(pose.angle)];
  const reachX = Math.abs(cosine) * halfWidth + Math.abs(sine) * halfHeight + 1;
  const reachY = Math.abs(sine) * halfWidth + Math.abs(cosine) * halfHeight + 1;
  const [left, right] = [
    Math.max(0, Math.floor(pose.x - reachX)),
    Math.min(canvas.width, Math.ceil(pose.x + reachX)),
  ];
  const [top, bottom] = [
    Math.max(0, Math.floor(pose.y - reachY)),
    Math.min(canvas.height, Math.ceil(pose.y + reachY)),
  ];
  // From the canvas to the level's pixels.
  const scaleX = ((pose.mirrored ? -1 : 1) * (level.width - 2)) / (2 * halfWidth);
  const scaleY = (level.height - 2) / (2 * halfHeight);
  const sample = new Float64Array(4);
  let owned = 0;
  for (let y = top; y < bottom; y++) {
    const dy = y + 0.5 - pose.y;
    for (let x = left; x < right; x++) {
      const dx = x + 0.5 - pose.x;
      const u = (dx * cosine + dy * sine) * scaleX + level.width / 2 - 0.5;
      const v = (dy * cosine - dx * sine) * scaleY + level.height / 2 - 0.5;
      if (u <= 0 || v <= 0 || u >= level.width - 1 || v >= level.height - 1) continue;
      sampleLevel(level, u, v, sample);
      const alpha = sample[3]!;
      if (alpha < 1) continue;
      const pixel = y * canvas.width + x;
      blend(canvas.rgb, pixel * 3, sample, colours);
      if (alpha < ownedAlpha) continue;
      canvas.ids[pixel] = id;
      owned++;
    }
  }
  return owned;
}

/** The smallest level that is not smaller than what is drawn; the largest for anything larger. */
function levelFor({ levels }: Sprite, side: number): SpriteLevel {
  return levels.findLast(level => Math.max(level.width, level.height) - 2 >= side * 0.9) ?? levels[0]!;
}

function sampleLevel({ width, data }: SpriteLevel, u: number, v: number, out: Float64Array): void {
  const x = Math.floor(u);
  const y = Math.floor(v);
  const fx = u - x;
  const fy = v - y;
  const at = (y * width + x) * 4;
  const below = at + width * 4;
  const a = (1 - fx) * (1 - fy);
  const b = fx * (1 - fy);
  const c = (1 - fx) * fy;
  const d = fx * fy;
  for (let channel = 0; channel < 4; channel++)
    out[channel] =
      a * data[at + channel]! +
      b * data[at + 4 + channel]! +
      c * data[below + channel]! +
      d * data[below + 4 + channel]!;
}

/** A linear change of colour may be made after alpha was multiplied in. */
function blend(rgb: Uint8Array, at: number, sample: Float64Array, m: ColourMatrix): void {
  const red = sample[0]!;
  const green = sample[1]!;
  const blue = sample[2]!;
  const alpha = sample[3]!;
  const kept = 1 - alpha / 255;
  for (let channel = 0; channel < 3; channel++) {
    const own = m[3 * channel]! * red + m[3 * channel + 1]! * green + m[3 * channel + 2]! * blue;
    rgb[at + channel] = Math.round(rgb[at + channel]! * kept + Math.min(Math.max(own, 0), alpha));
  }
}
