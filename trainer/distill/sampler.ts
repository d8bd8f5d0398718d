/** Which images a step takes. Everything follows from seed, epoch and position, so there is no state to save. */

import { keyedRandom } from '../random.ts';

/** Indices 0 … count − 1 in the order of an epoch. */
export function epochOrder(seed: number, epoch: number, count: number): Uint32Array {
  const order = new Uint32Array(count);
  for (let index = 0; index < count; index++) order[index] = index;
  return keyedRandom(seed, 'epoch', epoch).shuffle(order);
}

/** Whole batches in an epoch; the images left over wait for the next one. */
export function stepsPerEpoch(count: number, batch: number): number {
  return Math.floor(count / batch);
}

export interface BatchPlace {
  epoch: number;
  /** Places in the epoch's order. */
  positions: number[];
}

/** Which of the processes that train together this one is. */
export interface RankShare {
  rank: number;
  ranks: number;
}

export const soleRank: RankShare = { rank: 0, ranks: 1 };

/**
 * The epoch and the positions of a rank's share of a step, both counted from 0. The ranks' batches follow each other in
 * the order of the epoch: what a step takes does not depend on how many share it. Throws when the images do not fill one batch.
 *
 * @param batch Images of this rank.
 */
export function batchOf(
  step: number,
  batch: number,
  count: number,
  { rank, ranks }: RankShare = soleRank,
): BatchPlace {
  const whole = batch * ranks;
  const steps = stepsPerEpoch(count, whole);
  if (steps < 1) {
    throw new Error(
      `${count} image${count === 1 ? '' : 's'} cannot fill a batch of ${whole}: add images or choose a smaller batch`,
    );
  }
  const first = (step % steps) * whole + rank * batch;
  return {
    epoch: Math.floor(step / steps),
    positions: Array.from({ length: batch }, (_, index) => first + index),
  };
}

/** The step, counted from 0, and the rank that take a position of an epoch; null for what is left over at its end. */
export function takerOf(
  epoch: number,
  position: number,
  batch: number,
  count: number,
  ranks: number,
): { step: number; rank: number } | null {
  const whole = batch * ranks;
  const steps = stepsPerEpoch(count, whole);
  const step = Math.floor(position / whole);
  if (step >= steps) return null;
  return { step: epoch * steps + step, rank: Math.floor((position % whole) / batch) };
}

/** How many images are drawn at random in the place of an unusable one before all are tried in turn. */
const randomAttempts = 32;

/**
 * Indices of images to try at a position whose own image is unusable: random ones first (repeats possible), then
 * every image of the data set once, from a random one on.
 */
export function* replacementIndices(
  seed: number,
  epoch: number,
  position: number,
  count: number,
): Generator<number> {
  for (let attempt = 0; attempt < randomAttempts; attempt++) {
    yield keyedRandom(seed, 'replacement', epoch, position, attempt).uint(count);
  }
  const start = keyedRandom(seed, 'replacement', epoch, position, randomAttempts).uint(count);
  for (let offset = 0; offset < count; offset++) yield (start + offset) % count;
}
