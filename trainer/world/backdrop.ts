import type { KeyedRandom } from '../random.ts';
import { type StuffName, stuffNames } from './classes.ts';
import { between } from './colour.ts';
import type { Canvas } from './drawSprite.ts';
import { noise } from './noise.ts';
import { type StuffPainter, stuffLooks } from './stuffPainters.ts';

/** Stuff that is above everything else where it is level. */
const above: ReadonlySet<StuffName> = new Set(['sky', 'night']);

/** How often a scene has one, two and three kinds of stuff. */
const partShares = [0.25, 0.85, 1];

/**
 * Paints one to three kinds of stuff side by side or one above the other, with a wavy border, over the whole canvas.
 * Segment ids count from 1.
 *
 * @returns Stuff of each segment, in the order of the ids.
 */
export function paintBackdrop(canvas: Canvas, random: KeyedRandom): StuffName[] {
  const drawn = random.float();
  const parts = 1 + partShares.findIndex(share => drawn < share);
  const stuff = random.shuffle([...stuffNames]).slice(0, parts);
  const level = random.float() < 0.65;
  const angle = level ? Math.PI / 2 + between(random, -0.12, 0.12) : between(random, 0, Math.PI);
  if (level) stuff.sort((a, b) => Number(above.has(b)) - Number(above.has(a)));
  const painters = stuff.map(name => stuffLooks[name](random));
  const cuts = stuff.slice(1).map((_, index) => (index + between(random, 0.65, 1.35)) / stuff.length);
  paint(canvas, random, painters, cuts, angle);
  return stuff;
}

function paint(
  canvas: Canvas,
  random: KeyedRandom,
  painters: readonly StuffPainter[],
  cuts: readonly number[],
  angle: number,
): void {
  const { width, height, rgb, ids } = canvas;
  const unit = 100 / Math.max(width, height);
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const reach = (Math.abs(cosine) * width + Math.abs(sine) * height) * unit;
  const [waves, length, place] = [between(random, 0, 0.16), between(random, 12, 40), random.uint(100)];
  // A light from one side, so that no colour is quite even.
  const [lightX, lightY] = [between(random, -0.15, 0.15), between(random, -0.15, 0.15)];
  const colour = new Float64Array(3);
  for (let row = 0, pixel = 0; row < height; row++)
    for (let column = 0; column < width; column++, pixel++) {
      const x = (column + 0.5) * unit;
      const y = (row + 0.5) * unit;
      const cx = x - (width * unit) / 2;
      const cy = y - (height * unit) / 2;
      let part = 0;
      if (cuts.length > 0) {
        const across = (cx * sine - cy * cosine) / length;
        const along = (cx * cosine + cy * sine) / reach + 0.5 + waves * (noise(across + place, 7) - 0.5);
        while (part < cuts.length && along > cuts[part]!) part++;
      }
      painters[part]!(x, y, colour);
      const light = 1 + (lightX * cx + lightY * cy) / 50;
      for (let channel = 0; channel < 3; channel++)
        rgb[pixel * 3 + channel] = Math.min(Math.max(Math.round(colour[channel]! * light), 0), 255);
      ids[pixel] = part + 1;
    }
}
