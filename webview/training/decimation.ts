/**
 * Indices of the values worth drawing when a chart has fewer pixels than values: lowest and highest of every bucket,
 * so that no spike disappears, and always the first and last value. Ascending, at most `limit` of them.
 *
 * Buckets hold a power of two of values and start at index 0: appending a value leaves the earlier choices alone,
 * and a growing curve does not shimmer.
 */
export function decimate(values: ArrayLike<number>, limit: number): number[] {
  if (limit < 4) throw new Error(`cannot draw a curve with ${limit} points`);
  const count = values.length;
  if (count <= limit) return Array.from({ length: count }, (_, index) => index);
  let size = 2;
  while (2 * Math.ceil(count / size) + 2 > limit) size *= 2;
  const chosen: number[] = [];
  const choose = (index: number): void => {
    const last = chosen[chosen.length - 1];
    if (last === undefined || index > last) chosen.push(index);
  };
  choose(0);
  for (let start = 0; start < count; start += size) {
    const [lowest, highest] = extremes(values, start, Math.min(start + size, count));
    choose(Math.min(lowest, highest));
    choose(Math.max(lowest, highest));
  }
  choose(count - 1);
  return chosen;
}

/** Indices of the lowest and highest finite value in [start, end); `start` where none is finite. */
function extremes(values: ArrayLike<number>, start: number, end: number): [lowest: number, highest: number] {
  let lowest = start;
  let highest = start;
  for (let index = start; index < end; index++) {
    const value = values[index]!;
    if (!Number.isFinite(value)) continue;
    if (!(value >= values[lowest]!)) lowest = index;
    if (!(value <= values[highest]!)) highest = index;
  }
  return [lowest, highest];
}
