/**
 * The published recipes by name, every value in the open: what `clipself train --preset` and the extension's presets
 * start from. Imports types alone.
 */
import type { TrainingSettings } from './protocol.ts';

export type Recipe = Partial<Omit<TrainingSettings, 'model' | 'images'>>;

/** What all of them share (paper section 4.1, and the published scripts). */
const optimisation = {
  maxBoxes: 20,
  multiscale: null,
  trainRatio: 1,
  batch: 2,
  accumulate: 1,
  epochs: 6,
  learningRate: 1e-5,
  weightDecay: 0.1,
  warmup: 1000,
  cosineWeight: 1,
  retention: 0,
} as const;

/** What follows from the size of the model. */
const models = {
  b16: { size: 1024, unlockedBlocks: 12, blend: 0.7 },
  l14: { size: 896, unlockedBlocks: 24, blend: 0.95 },
} as const;

/** Image patches: a grid of at most 6 × 6. */
const patches = { method: 'clipself', regions: 'grid', boxes: null, maxSplit: 6, cropScale: 1 } as const;

/** Region proposals with half as much around them (table 2). They need `boxes`. */
const proposals = { method: 'clipself', regions: 'proposals', cropScale: 1.5 } as const;

/** Region–noun pairs (figure 2a), trained like the others. They need `boxes` with categories. */
const regionClip = { method: 'regionclip', regions: 'proposals', cropScale: 1.5 } as const;

export const recipes = {
  'b16-patches': { ...optimisation, ...models.b16, ...patches },
  'b16-proposals': { ...optimisation, ...models.b16, ...proposals },
  'b16-regionclip': { ...optimisation, ...models.b16, ...regionClip },
  'l14-patches': { ...optimisation, ...models.l14, ...patches },
  'l14-proposals': { ...optimisation, ...models.l14, ...proposals },
  'l14-regionclip': { ...optimisation, ...models.l14, ...regionClip },
} as const satisfies Readonly<Record<string, Recipe>>;

export type RecipeName = keyof typeof recipes;

export const recipeNames = Object.keys(recipes) as RecipeName[];

export const isRecipeName = (name: string): name is RecipeName => Object.hasOwn(recipes, name);
