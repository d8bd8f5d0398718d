/**
 * Exponential moving average with debiasing: m ← w·m + (1 − w)·x, drawn as m / (1 − wⁿ) after n values, so that the
 * first values are not pulled towards zero (Kingma and Ba 2015, section 3, describe the same correction).
 * Values that are not finite stay gaps and do not enter the average.
 */
export function smooth(values: ArrayLike<number>, weight: number): Float64Array {
  if (!(weight >= 0 && weight < 1)) throw new Error(`smoothing weight ${weight} is not in [0, 1)`);
  const smoothed = new Float64Array(values.length);
  let mean = 0;
  let remaining = 1;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (!Number.isFinite(value)) {
      smoothed[index] = Number.NaN;
      continue;
    }
    mean = weight * mean + (1 - weight) * value;
    remaining *= weight;
    smoothed[index] = mean / (1 - remaining);
  }
  return smoothed;
}
