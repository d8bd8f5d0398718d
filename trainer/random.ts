/**
 * Random numbers that depend on a seed and a key alone, never on what was drawn before: a run that resumes at step n
 * draws the same numbers as one that was never stopped.
 */

import { createHash } from 'node:crypto';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

export interface KeyedRandom {
  /** Uniform integer in 0 … n − 1. */
  uint(n: number): number;
  /** Uniform in [0, 1). */
  float(): number;
  /** Shuffles in place (Fisher–Yates) and returns the same array. */
  shuffle<Items extends { length: number; [index: number]: unknown }>(items: Items): Items;
}

/** A generator for `keys` under `seed`, for example `keyedRandom(seed, 'patches', epoch, position)`. */
export function keyedRandom(seed: number, ...keys: (number | string)[]): KeyedRandom {
  const digest = createHash('sha256')
    .update(JSON.stringify([seed, ...keys]))
    .digest();
  const generator = xoroshiro128plusFromState([0, 4, 8, 12].map(at => digest.readInt32LE(at)));
  const uint = (n: number) => {
    if (!(Number.isSafeInteger(n) && n > 0)) throw new Error(`no integer can be drawn below ${n}`);
    return uniformInt(generator, 0, n - 1);
  };
  return {
    uint,
    float: () => uniformFloat64(generator),
    shuffle: items => {
      const array = items as { length: number; [index: number]: unknown };
      for (let last = array.length - 1; last > 0; last--) {
        const other = uint(last + 1);
        [array[last], array[other]] = [array[other], array[last]];
      }
      return items;
    },
  };
}
