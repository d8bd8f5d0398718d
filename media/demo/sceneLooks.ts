import { sceneDefaults } from '../../trainer/world/scene.ts';
import type { WorldRequest } from '../../trainer/world/writeWorld.ts';

/**
 * What the demo's scenes look like, those trained on and those evaluated: small pictures of few large things, five
 * patches wide and more, so that the minutes of a demo are enough to learn from. Smaller and more crowded things are
 * harder.
 */
export const sceneLooks = {
  ...sceneDefaults,
  longestSide: 96,
  fewestThings: 1,
  mostThings: 3,
  smallestThing: 0.5,
  largestThing: 0.75,
  overlap: 0,
} as const satisfies Omit<WorldRequest, 'seed' | 'count' | 'styles'>;

/** For whoever reads the numbers. */
export const looksInWords =
  'Scenes are 96 pixels long (12 patches), with one to three things drawn at half to three quarters of that; they hide ' +
  'each other where there is no other room. Every thing of which a tenth can be seen counts.';

/** Regions proposed for a scene: the most promising, all of which each step takes. */
export const proposedRegions = 10;

/** The looks as options of `clipself world`. */
export function looksAsOptions(): Readonly<Record<string, string>> {
  const { longestSide, fewestThings, mostThings, smallestThing, largestThing, overlap } = sceneLooks;
  return {
    size: String(longestSide),
    things: `${fewestThings}-${mostThings}`,
    'thing-size': `${smallestThing}-${largestThing}`,
    overlap: String(overlap),
  };
}
