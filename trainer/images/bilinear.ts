/** One axis of a bilinear resize: two neighbours of each output position and the share of the second. */
function neighbours(from: number, to: number): { low: Int32Array; high: Int32Array; share: Float32Array } {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const share = new Float32Array(to);
  const step = Math.fround(from / to);
  for (let index = 0; index < to; index++) {
    const position = Math.max(Math.fround(Math.fround(step * (index + 0.5)) - 0.5), 0);
    low[index] = Math.min(Math.floor(position), from - 1);
    high[index] = Math.min(low[index]! + 1, from - 1);
    share[index] = position - low[index]!;
  }
  return { low, high, share };
}

/**
 * Resizes planes as PyTorch's `interpolate(…, mode='bilinear', align_corners=False)` does, without antialiasing.
 *
 * @param planes [count, height, width], float32.
 * @param result Takes the values; new memory when left out.
 * @returns [count, newHeight, newWidth]
 */
export function resizeBilinear(
  planes: Float32Array,
  height: number,
  width: number,
  newHeight: number,
  newWidth: number,
  result: Float32Array = new Float32Array((planes.length / (height * width)) * newHeight * newWidth),
): Float32Array {
  const count = planes.length / (height * width);
  const [rows, columns] = [neighbours(height, newHeight), neighbours(width, newWidth)];
  let target = 0;
  for (let plane = 0; plane < count; plane++) {
    for (let row = 0; row < newHeight; row++) {
      const upper = (plane * height + rows.low[row]!) * width;
      const lower = (plane * height + rows.high[row]!) * width;
      const down = rows.share[row]!;
      for (let column = 0; column < newWidth; column++) {
        const [left, right] = [columns.low[column]!, columns.high[column]!];
        const across = columns.share[column]!;
        const top = planes[upper + left]! * (1 - across) + planes[upper + right]! * across;
        const bottom = planes[lower + left]! * (1 - across) + planes[lower + right]! * across;
        result[target++] = top * (1 - down) + bottom * down;
      }
    }
  }
  return result;
}
