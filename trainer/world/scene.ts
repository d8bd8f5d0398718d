import type { KeyedRandom } from '../random.ts';
import { paintBackdrop } from './backdrop.ts';
import { stuffNames, thingClasses } from './classes.ts';
import { between, colourMatrix } from './colour.ts';
import { type Canvas, drawSprite, type SpritePose, wholeArea } from './drawSprite.ts';
import type { StyleSprites } from './icons.ts';

/** What a scene is drawn with. Sizes are shares of the scene's longest side. */
export interface SceneSettings {
  /** Pixels. */
  longestSide: number;
  /** Longer side by shorter side at most. */
  aspect: number;
  smallestThing: number;
  largestThing: number;
  /** Share of a thing's box that others may cover when it is placed. */
  overlap: number;
  /** How far colours, proportions and angles of things stray from the icon: 0 not at all, 1 far. */
  variation: number;
}

export const sceneDefaults: Readonly<SceneSettings> = {
  longestSide: 144,
  aspect: 1.5,
  smallestThing: 0.18,
  largestThing: 0.5,
  overlap: 0.3,
  variation: 0.5,
};

export interface SceneSegment {
  /** As it stands in `ids`, from 1. */
  readonly id: number;
  /** Category id: place in `worldClasses`, from 1. */
  readonly category: number;
  readonly isThing: boolean;
  /** Pixels it would own if nothing lay over it; of a thing, those beyond the frame as well. */
  readonly whole: number;
}

export interface Scene {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3] */
  readonly rgb: Uint8Array;
  /** [height, width], the segment that each pixel belongs to. */
  readonly ids: Uint8Array;
  readonly segments: readonly SceneSegment[];
}

/**
 * Paints a scene: stuff behind, things before it, later ones over earlier ones. The same random numbers give the same
 * bytes.
 *
 * @param things Category ids; those that the style does not draw are left out. At most 200.
 */
export function paintScene(
  random: KeyedRandom,
  sprites: StyleSprites,
  things: readonly number[],
  settings: SceneSettings,
): Scene {
  const canvas = emptyCanvas(random, settings);
  const stuff = paintBackdrop(canvas, random);
  const segments: SceneSegment[] = stuff.map((name, index) => ({
    id: index + 1,
    category: thingClasses.length + stuffNames.indexOf(name) + 1,
    isThing: false,
    whole: canvas.ids.reduce((sum, id) => sum + Number(id === index + 1), 0),
  }));
  const placed: Box[] = [];
  for (const category of things) {
    const choices = sprites.get(category);
    if (!choices) continue;
    const sprite = choices[random.uint(choices.length)]!;
    const pose = placeThing(random, canvas, placed, settings);
    const id = segments.length + 1;
    drawSprite(canvas, sprite, pose, drawColours(random, settings.variation), id);
    segments.push({ id, category, isThing: true, whole: wholeArea(sprite, pose) });
  }
  return { ...canvas, segments };
}

function emptyCanvas(random: KeyedRandom, { longestSide, aspect }: SceneSettings): Canvas {
  const shorter = Math.round(longestSide / between(random, 1, aspect));
  const [width, height] = random.float() < 0.5 ? [longestSide, shorter] : [shorter, longestSide];
  return { width, height, rgb: new Uint8Array(width * height * 3), ids: new Uint8Array(width * height) };
}

type Box = readonly [left: number, top: number, right: number, bottom: number];

/** Places tried for a thing before the least crowded of them is taken. */
const attempts = 12;

function placeThing(
  random: KeyedRandom,
  { width, height }: Canvas,
  placed: Box[],
  settings: SceneSettings,
): SpritePose {
  const { smallestThing, largestThing, overlap, variation, longestSide } = settings;
  // Sizes are even on a scale of ratios: small things are as frequent as large ones.
  let side = longestSide * smallestThing * (largestThing / smallestThing) ** random.float();
  let best: { box: Box; covered: number } | null = null;
  for (let attempt = 0; attempt < attempts; attempt++) {
    // Up to a fifth of a thing may be beyond an edge of the frame.
    const [x, y] = [width, height].map(length =>
      between(random, Math.min(0.3 * side, length / 2), Math.max(length - 0.3 * side, length / 2)),
    ) as [number, number];
    const box = [x - side / 2, y - side / 2, x + side / 2, y + side / 2] as const;
    const covered = placed.reduce((most, other) => Math.max(most, sharedArea(box, other)), 0);
    if (!best || covered < best.covered) best = { box, covered };
    if (best.covered <= overlap) break;
    side = Math.max(side * 0.93, longestSide * smallestThing);
  }
  const { box } = best!;
  placed.push(box);
  const stretch = Math.exp(between(random, -0.3, 0.3) * variation);
  const size = box[2] - box[0];
  return {
    x: (box[0] + box[2]) / 2,
    y: (box[1] + box[3]) / 2,
    across: size * Math.sqrt(stretch),
    down: size / Math.sqrt(stretch),
    angle: between(random, -0.7, 0.7) * variation,
    mirrored: random.float() < 0.5,
  };
}

/** Area that two boxes share, relative to the smaller one. */
function sharedArea(a: Box, b: Box): number {
  const across = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const down = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (across <= 0 || down <= 0) return 0;
  const area = (box: Box): number => (box[2] - box[0]) * (box[3] - box[1]);
  return (across * down) / Math.min(area(a), area(b));
}

function drawColours(random: KeyedRandom, variation: number) {
  const hue = between(random, -0.12, 0.12) * variation;
  const grey = random.float() < 0.08 * variation;
  const saturation = grey ? 0 : 1 + between(random, -0.6, 0.4) * variation;
  return colourMatrix(hue, saturation, 1 + between(random, -0.35, 0.3) * variation);
}
