/** Numbers about the values of a map that views show beside it. */

/** Cosine distance 1 − a·b of the features of each patch in two maps of equal grid and dimension. */
export function cosineDistances(first: Float32Array, last: Float32Array, dimension: number): Float32Array {
  const distances = new Float32Array(first.length / dimension);
  for (let patch = 0; patch < distances.length; patch++) {
    let sum = 0;
    for (let index = patch * dimension; index < (patch + 1) * dimension; index++)
      sum += first[index]! * last[index]!;
    distances[patch] = 1 - sum;
  }
  return distances;
}

/** Patches that hold image and lie more than three standard deviations above the mean, strongest first. */
export function outlierPatches(
  valid: { rows: number; columns: number },
  columns: number,
  values: Float32Array,
): number[] {
  const patches: number[] = [];
  for (let row = 0; row < valid.rows; row++)
    for (let column = 0; column < valid.columns; column++) patches.push(row * columns + column);
  const mean = patches.reduce((sum, patch) => sum + values[patch]!, 0) / patches.length;
  const variance = patches.reduce((sum, patch) => sum + (values[patch]! - mean) ** 2, 0) / patches.length;
  const limit = mean + 3 * Math.sqrt(variance);
  return patches.filter(patch => values[patch]! > limit).sort((a, b) => values[b]! - values[a]!);
}
