import { normaliseRows } from './classEmbeddings.ts';

/**
 * One direction for each class: its prompts' embeddings are normalised, averaged and normalised again.
 *
 * @param embeddings `[sum of counts, dimension]`, prompts of a class one after the other.
 * @param counts Prompts of each class.
 * @returns `[classes, dimension]` of unit norm; zeros where there is no direction.
 */
export function meanDirections(
  embeddings: Float32Array,
  counts: readonly number[],
  dimension: number,
): Float32Array {
  const units = embeddings.slice();
  normaliseRows(units, dimension);
  const sums = new Float64Array(dimension);
  const means = new Float32Array(counts.length * dimension);
  let row = 0;
  for (const [index, count] of counts.entries()) {
    sums.fill(0);
    for (const end = row + count; row < end; row++)
      for (let channel = 0; channel < dimension; channel++)
        sums[channel]! += units[row * dimension + channel]!;
    for (let channel = 0; channel < dimension; channel++)
      means[index * dimension + channel] = sums[channel]! / Math.max(1, count);
  }
  normaliseRows(means, dimension);
  return means;
}
