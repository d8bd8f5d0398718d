import type { KeyedRandom } from '../random.ts';
import type { StuffName } from './classes.ts';
import { between, type Colour, drawColour } from './colour.ts';
import { type Cell, cellNoise, clouds, noise, scattered } from './noise.ts';

/** Gives the colour of a place. Coordinates in hundredths of the image's longest side, so that size changes nothing. */
export type StuffPainter = (x: number, y: number, out: Float64Array) => void;

/** Draws the looks of one piece of stuff: every call gives another variety. */
type Looks = (random: KeyedRandom) => StuffPainter;

function mix(out: Float64Array, from: Colour, to: Colour, share: number): void {
  for (let channel = 0; channel < 3; channel++)
    out[channel] = from[channel]! + share * (to[channel]! - from[channel]!);
}

function towards(out: Float64Array, to: Colour, share: number): void {
  for (let channel = 0; channel < 3; channel++) out[channel]! += share * (to[channel]! - out[channel]!);
}

function fill(out: Float64Array, colour: Colour): void {
  for (let channel = 0; channel < 3; channel++) out[channel] = colour[channel]!;
}

function shade(out: Float64Array, factor: number): void {
  for (let channel = 0; channel < 3; channel++) out[channel]! *= factor;
}

const clamp = (value: number): number => Math.min(Math.max(value, 0), 1);
const offset = (random: KeyedRandom): [number, number] => [random.uint(128), random.uint(128)];

const sky: Looks = random => {
  const high = drawColour(random, [0.53, 0.63], [0.5, 0.9], [0.5, 0.68]);
  const low = drawColour(random, [0.5, 0.6], [0.4, 0.8], [0.76, 0.92]);
  const white: Colour = [250, 250, 252];
  const [ox, oy] = offset(random);
  const [size, cover] = [between(random, 14, 34), between(random, 0.52, 0.8)];
  return (x, y, out) => {
    mix(out, high, low, clamp(y / 90));
    const cloud = clamp((clouds(x / size + ox, (1.8 * y) / size + oy) - cover) * 5);
    towards(out, white, cloud);
  };
};

const night: Looks = random => {
  const high = drawColour(random, [0.6, 0.76], [0.4, 0.8], [0.05, 0.13]);
  const low = drawColour(random, [0.58, 0.8], [0.4, 0.7], [0.14, 0.26]);
  const [ox, oy] = offset(random);
  const [spacing, share] = [between(random, 3, 7), between(random, 0.25, 0.6)];
  return (x, y, out) => {
    mix(out, high, low, clamp(y / 100));
    const [column, row] = [Math.floor(x / spacing), Math.floor(y / spacing)];
    if (cellNoise(column + ox, row + oy) > share) return;
    const [sx, sy] = [
      0.25 + 0.5 * cellNoise(column + 9, row + oy),
      0.25 + 0.5 * cellNoise(column + ox, row + 9),
    ];
    const distance = Math.hypot(x / spacing - column - sx, y / spacing - row - sy) * spacing;
    towards(out, [255, 252, 235], clamp(1.3 - distance / 0.7));
  };
};

const grass: Looks = random => {
  const dark = drawColour(random, [0.24, 0.36], [0.45, 0.8], [0.2, 0.32]);
  const light = drawColour(random, [0.2, 0.32], [0.5, 0.8], [0.4, 0.55]);
  const [ox, oy] = offset(random);
  const blade = between(random, 0.9, 1.8);
  return (x, y, out) => {
    const lean = 2 * noise(x / 12 + oy, y / 12 + ox);
    const blades = noise((x + lean) / blade + ox, y / (4.5 * blade) + oy);
    mix(out, dark, light, clamp(0.7 * blades + 0.5 * noise(x / 15 + ox, y / 15 + oy) - 0.1));
  };
};

const sand: Looks = random => {
  const base = drawColour(random, [0.09, 0.14], [0.35, 0.65], [0.66, 0.8]);
  const [ox, oy] = offset(random);
  const [length, tilt] = [between(random, 4, 9), between(random, -0.5, 0.5)];
  return (x, y, out) => {
    const wave = Math.sin((y + tilt * x + 6 * noise(x / 14 + ox, y / 14 + oy)) * (6.28 / length));
    fill(out, base);
    shade(out, 0.94 + 0.06 * wave + 0.14 * (noise(x * 1.7 + ox, y * 1.7 + oy) - 0.5));
  };
};

const water: Looks = random => {
  const deep = drawColour(random, [0.48, 0.62], [0.5, 0.9], [0.25, 0.42]);
  const light = drawColour(random, [0.47, 0.58], [0.4, 0.8], [0.55, 0.78]);
  const [ox, oy] = offset(random);
  const [length, sharp] = [between(random, 4, 10), between(random, 1.5, 4)];
  return (x, y, out) => {
    const swell = y + 5 * noise(x / 9 + ox, y / 6 + oy);
    const crest = 0.5 + 0.5 * Math.sin(swell * (6.28 / length));
    mix(out, deep, light, crest ** sharp * (0.4 + 0.6 * noise(x / 6 + oy, y / 3 + ox)));
  };
};

const snow: Looks = random => {
  const white = drawColour(random, [0.55, 0.65], [0, 0.3], [0.94, 0.98]);
  const shadow = drawColour(random, [0.58, 0.68], [0.1, 0.3], [0.8, 0.88]);
  const [ox, oy] = offset(random);
  const [size, steep] = [between(random, 5, 10), between(random, -0.4, 0.4)];
  return (x, y, out) => {
    const drift = 0.5 + 0.5 * Math.sin((y + steep * x) / size + 4 * noise(x / 22 + ox, y / 22 + oy));
    mix(out, white, shadow, 0.8 * drift ** 3);
    // Grains, some of which glitter.
    const grain = cellNoise(Math.floor(2 * x) + ox, Math.floor(2 * y) + oy);
    shade(out, grain > 0.94 ? 1.1 : 0.97 + 0.03 * grain);
  };
};

const soil: Looks = random => {
  const base = drawColour(random, [0.04, 0.09], [0.3, 0.6], [0.2, 0.36]);
  const pebble = drawColour(random, [0.05, 0.1], [0.1, 0.3], [0.45, 0.6]);
  const [ox, oy] = offset(random);
  const [size, share] = [between(random, 3, 6), between(random, 0.08, 0.3)];
  const cell: Cell = { nearest: 0, edge: 0, value: 0 };
  return (x, y, out) => {
    fill(out, base);
    shade(out, 0.75 + 0.5 * clouds(x / 3 + ox, y / 3 + oy));
    scattered(x / size + ox, y / size + oy, cell);
    if (cell.value < share && cell.nearest < 0.26) mix(out, pebble, base, cell.nearest * 2);
  };
};

const brick: Looks = random => {
  const base = drawColour(random, [-0.02, 0.07], [0.35, 0.7], [0.32, 0.5]);
  const mortar = drawColour(random, [0.05, 0.12], [0.02, 0.15], [0.6, 0.85]);
  const [height, joint] = [between(random, 5, 10), between(random, 0.08, 0.16)];
  const [ox, oy] = offset(random);
  const length = height * between(random, 1.9, 2.6);
  return (x, y, out) => {
    const row = Math.floor(y / height + oy);
    const along = x / length + (row & 1) / 2 + ox;
    const [inRow, inBrick] = [y / height + oy - row, along - Math.floor(along)];
    const edge = Math.min(inRow, 1 - inRow, (Math.min(inBrick, 1 - inBrick) * length) / height);
    mix(out, base, mortar, edge < joint / 2 ? 1 : 0);
    if (edge >= joint / 2) shade(out, 0.8 + 0.4 * cellNoise(Math.floor(along), row));
    shade(out, 0.93 + 0.14 * noise(x + ox, y + oy));
  };
};

const wood: Looks = random => {
  const base = drawColour(random, [0.06, 0.1], [0.4, 0.7], [0.35, 0.62]);
  const [ox, oy] = offset(random);
  const [plank, rings] = [between(random, 9, 20), between(random, 1, 2.2)];
  const upright = random.float() < 0.4;
  return (px, py, out) => {
    const [x, y] = upright ? [py, px] : [px, py];
    const row = Math.floor(y / plank);
    const inPlank = y / plank - row;
    const grain = Math.sin(rings * (y + 5 * noise(x / 28 + 13 * row + ox, y / 7 + oy)) * 2);
    fill(out, base);
    shade(out, 0.84 + 0.3 * cellNoise(row + ox, 3 + oy) + 0.09 * grain);
    shade(out, 0.94 + 0.12 * noise(x / 5 + ox, y * 2 + oy));
    if (inPlank < 0.06) shade(out, 0.55);
  };
};

const stone: Looks = random => {
  const base = drawColour(random, [0.05, 0.7], [0.02, 0.14], [0.45, 0.65]);
  const gap = drawColour(random, [0.05, 0.15], [0.05, 0.2], [0.18, 0.3]);
  const [ox, oy] = offset(random);
  const size = between(random, 9, 18);
  const cell: Cell = { nearest: 0, edge: 0, value: 0 };
  return (x, y, out) => {
    scattered(x / size + ox, y / size + oy, cell);
    mix(out, base, gap, clamp((0.1 - cell.edge) * 14));
    shade(out, 0.78 + 0.3 * cell.value + 0.22 * (clouds(x / 4 + ox, y / 4 + oy) - 0.5));
  };
};

const tile: Looks = random => {
  const first = drawColour(random, [0, 1], [0.2, 0.7], [0.35, 0.6]);
  const second = drawColour(random, [0, 1], [0, 0.35], [0.78, 0.95]);
  const [side, joint] = [between(random, 6, 14), between(random, 0.05, 0.1)];
  const checked = random.float() < 0.75;
  const turned = random.float() < 0.3;
  return (px, py, out) => {
    const [x, y] = turned ? [(px + py) * Math.SQRT1_2, (px - py) * Math.SQRT1_2] : [px, py];
    const [column, row] = [Math.floor(x / side), Math.floor(y / side)];
    const [u, v] = [x / side - column, y / side - row];
    mix(out, first, second, checked ? (column + row) & 1 : 1);
    if (Math.min(u, v, 1 - u, 1 - v) < joint / 2) mix(out, [215, 212, 205], first, checked ? 0 : 0.55);
    else shade(out, 0.96 + 0.1 * (1 - (u + v) / 2));
  };
};

const leaves: Looks = random => {
  const autumn = random.float() < 0.35;
  const hue: [number, number] = autumn ? [0.02, 0.13] : [0.22, 0.4];
  const light = drawColour(random, hue, [0.5, 0.85], [0.38, 0.52]);
  const dark = drawColour(random, hue, [0.4, 0.7], [0.12, 0.22]);
  const [ox, oy] = offset(random);
  const size = between(random, 4, 8);
  const cell: Cell = { nearest: 0, edge: 0, value: 0 };
  return (x, y, out) => {
    scattered(x / size + ox, (1.3 * y) / size + oy, cell);
    mix(out, light, dark, clamp(1.5 * cell.nearest - 0.15));
    shade(out, 0.7 + 0.6 * cell.value);
  };
};

const fabric: Looks = random => {
  const hue = random.float();
  const ground = drawColour(random, [hue, hue], [0.35, 0.75], [0.35, 0.6]);
  const other = drawColour(random, [hue + 0.1, hue + 0.9], [0.3, 0.8], [0.25, 0.8]);
  const [period, width] = [between(random, 8, 18), between(random, 0.2, 0.5)];
  const narrow = between(random, 0.04, 0.1);
  return (x, y, out) => {
    const [u, v] = [x / period - Math.floor(x / period), y / period - Math.floor(y / period)];
    const stripes = (u < width ? 0.45 : 0) + (v < width ? 0.45 : 0);
    mix(out, ground, other, stripes);
    if (Math.abs(u - 0.75) < narrow || Math.abs(v - 0.75) < narrow) towards(out, [245, 240, 230], 0.6);
    shade(out, ((Math.floor(x * 1.5) + Math.floor(y * 1.5)) & 1) === 0 ? 0.94 : 1.04);
  };
};

const lava: Looks = random => {
  const rock = drawColour(random, [0, 0.05], [0.05, 0.3], [0.08, 0.17]);
  const glow = drawColour(random, [0.02, 0.1], [0.9, 1], [0.5, 0.6]);
  const [ox, oy] = offset(random);
  const [size, crack] = [between(random, 10, 20), between(random, 0.1, 0.22)];
  const cell: Cell = { nearest: 0, edge: 0, value: 0 };
  return (x, y, out) => {
    const bend = noise(x / 6 + ox, y / 6 + oy) * 0.5;
    scattered(x / size + ox + bend, y / size + oy + bend, cell);
    mix(out, rock, glow, clamp((crack - cell.edge) / crack) ** 0.7);
    shade(out, 0.8 + 0.4 * noise(x / 2 + ox, y / 2 + oy));
  };
};

export const stuffLooks: Readonly<Record<StuffName, Looks>> = {
  sky,
  night,
  grass,
  sand,
  water,
  snow,
  soil,
  brick,
  wood,
  stone,
  tile,
  leaves,
  fabric,
  lava,
};
