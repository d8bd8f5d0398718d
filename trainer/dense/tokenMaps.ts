/** Norms and attention of the tokens of an image as maps over its patches. Token 0 is the class token. */

import { attentionRollout } from './attentionRollout.ts';
import { dotOfRows } from './dotProducts.ts';
import type { MapSize } from './featureMap.ts';

/**
 * @param tokens [1 + patches, width].
 * @returns [patches].
 */
export function tokenNorms(tokens: Float32Array, width: number): number[] {
  return Array.from({ length: tokens.length / width - 1 }, (_, patch) =>
    Math.sqrt(dotOfRows(tokens, (patch + 1) * width, tokens, (patch + 1) * width, width)),
  );
}

/**
 * What one token attends to in each head, then its rollout; the class token is left out.
 *
 * @param means Mean over heads of each layer from the first to the one asked for, each [tokens, tokens].
 * @param weights [heads, tokens, tokens] of the layer asked for.
 * @param query The token; 0 is the class token.
 * @returns [heads + 1, patches].
 */
export function attentionMaps(
  means: readonly Float32Array[],
  weights: Float32Array,
  heads: number,
  query: number,
): Float32Array {
  const tokens = Math.round(Math.sqrt(weights.length / heads));
  const patches = tokens - 1;
  const maps = new Float32Array((heads + 1) * patches);
  for (let head = 0; head < heads; head++) {
    const row = (head * tokens + query) * tokens;
    maps.set(weights.subarray(row + 1, row + tokens), head * patches);
  }
  maps.set(attentionRollout(means, tokens, query).subarray(1), heads * patches);
  return maps;
}

/** Mean of the first `count` maps of `cells` values. */
export function meanOfMaps(maps: Float32Array, count: number, cells: number): Float32Array {
  const mean = new Float32Array(cells);
  for (let map = 0; map < count; map++)
    for (let cell = 0; cell < cells; cell++) mean[cell]! += maps[map * cells + cell]! / count;
  return mean;
}

/** A copy of a map with NaN on padding. */
export function onImage(values: ArrayLike<number>, { columns, valid }: MapSize): Float32Array {
  return Float32Array.from(values, (value, cell) =>
    Math.floor(cell / columns) < valid.rows && cell % columns < valid.columns ? value : Number.NaN,
  );
}
