/** Reproducible numbers for numerical tests. */

import type { FeatureMap } from '../../trainer/dense/featureMap.ts';
import { keyedRandom } from '../../trainer/random.ts';

/** `count` values of a normal distribution (Box–Muller). */
export function normalValues(count: number, ...keys: (string | number)[]): Float32Array {
  const random = keyedRandom(11, ...keys);
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float()),
  );
}

/** Points around `groups` far-apart centres; point i belongs to centre i mod groups. */
export function groupedPoints(
  count: number,
  dimension: number,
  groups: number,
  spread: number,
): Float32Array {
  const centres = normalValues(groups * dimension, 'centres');
  return normalValues(count * dimension, 'points').map((value, index) => {
    const group = Math.floor(index / dimension) % groups;
    return centres[group * dimension + (index % dimension)]! + spread * value;
  });
}

/** A map with normal features everywhere, padding included. */
export function randomMap(
  rows: number,
  columns: number,
  dimension: number,
  valid: { rows: number; columns: number } = { rows, columns },
): FeatureMap {
  return { features: normalValues(rows * columns * dimension, 'map'), rows, columns, dimension, valid };
}
