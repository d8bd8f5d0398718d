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
  /** The first place of the step, for what is drawn once for all its images. */
  firstPosition: number;
}

/** One of several ranks that share the images of a step. */
export interface Share {
  rank: number;
  ranks: number;
}

/** Where a rank's images of a step begin among `batch`; they end where those of the next rank begin. */
export const shareStart = ({ rank, ranks }: Share, batch: number): number =>
  Math.floor((rank * batch) / ranks);

/** A rank's part of a step: shares differ by one image at most, and none is left out. */
export function shareOf(place: BatchPlace, share: Share): BatchPlace {
  const { rank, ranks } = share;
  const { length } = place.positions;
  const end = shareStart({ rank: rank + 1, ranks }, length);
  return { ...place, positions: place.positions.slice(shareStart(share, length), end) };
}

/**
 * The epoch and the positions of a step, counted from 0. Throws when the images do not fill one batch.
 *
 * @param batch Images of the step, of all ranks together.
 */
export function batchOf(step: number, batch: number, count: number): BatchPlace {
  const steps = stepsPerEpoch(count, batch);
  if (steps < 1) {
    throw new Error(
      `${count} image${count === 1 ? '' : 's'} cannot fill a batch of ${batch}: add images or choose a smaller batch`,
    );
  }
  const first = (step % steps) * batch;
  return {
    epoch: Math.floor(step / steps),
    positions: Array.from({ length: batch }, (_, index) => first + index),
    firstPosition: first,
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
  const steps = stepsPerEpoch(count, batch);
  const step = Math.floor(position / batch);
  if (step >= steps) return null;
  // The last rank whose share begins at or before it (`shareStart`).
  const rank = Math.floor((((position % batch) + 1) * ranks - 1) / batch);
  return { step: epoch * steps + step, rank };
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
