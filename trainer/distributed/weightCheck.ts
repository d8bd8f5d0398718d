/** Ranks start from the same weights and add the same gradients: whether they still agree. */
import { createHash } from 'node:crypto';
import { type DeviceTensor, type Engine, readFloats } from '../engines/engine.ts';
import { gatherNumbers, type World } from './world.ts';

/** Weights that have come apart: averaging gradients of different models has no meaning. */
export class DivergedWeightsError extends Error {
  override readonly name = 'DivergedWeightsError';
}

/** So many bits of a hash are a whole number in double precision. */
const comparedBytes = 6;

/**
 * Compares the weights of all ranks by their SHA-256.
 *
 * @throws DivergedWeightsError on every rank, naming those that differ from the most.
 */
export async function compareWeights(
  world: World,
  engine: Engine,
  weights: Iterable<DeviceTensor>,
  step: number,
): Promise<void> {
  if (world.size === 1) return;
  const hash = createHash('sha256');
  for (const tensor of weights) {
    const { buffer, byteOffset, byteLength } = await readFloats(engine, tensor);
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  const own = hash.digest().readUIntBE(0, comparedBytes);
  const others = divergedRanks(await gatherNumbers(world, own));
  if (others.length === 0) return;
  throw new DivergedWeightsError(
    `after step ${step} the weights of rank ${others.join(', ')} differ from those of the other ranks: the last checkpoint ` +
      'before is intact. Ranks must be processors of one kind with the same version and --threads; resume on such machines',
  );
}

/** Ranks whose number is not the most frequent one; of equally frequent ones the first counts. */
export function divergedRanks(numbers: readonly number[]): number[] {
  const frequency = new Map<number, number>();
  for (const number of numbers) frequency.set(number, (frequency.get(number) ?? 0) + 1);
  const [[usual]] = [...frequency].sort(([, a], [, b]) => b - a) as [[number, number]];
  return [...numbers.keys()].filter(rank => numbers[rank] !== usual);
}
