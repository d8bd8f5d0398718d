import { axisSamples } from '../dense/axisSamples.ts';
import { dotProducts } from '../dense/dotProducts.ts';
import type { Words } from '../dense/words.ts';
import { fitLongestSide } from '../images/geometry.ts';

/** Dense features of an image in student geometry, and how they lie on it. */
export interface PlacedMap {
  /** [side · side, D], unit norm. */
  features: Float32Array;
  side: number;
  /** Rows and columns that hold image rather than padding. */
  valid: { rows: number; columns: number };
  patchSize: number;
  /** Longest side of the image as the model saw it, pixels. */
  size: number;
}

/**
 * Names every pixel by the word of the highest cosine, after the maps of the words were enlarged bilinearly to the image;
 * of equal ones the earlier word comes first. Holds the cosines of the cells and of one row of pixels' height at a time.
 *
 * @param width Of the image in pixels, as is `height`.
 * @returns Position of the word for each pixel, [height, width].
 */
export function nameEveryPixel(map: PlacedMap, words: Words, width: number, height: number): Uint16Array {
  const { side, valid, patchSize, size } = map;
  const count = words.names.length;
  const cosines = new Float32Array(valid.rows * side * count);
  dotProducts(
    map.features.subarray(0, valid.rows * side * words.dimension),
    words.data,
    words.dimension,
    cosines,
  );
  const fitted = fitLongestSide(width, height, size);
  const xs = axisSamples(width, Math.max(fitted.width, 1), patchSize, valid.columns);
  const ys = axisSamples(height, Math.max(fitted.height, 1), patchSize, valid.rows);
  const row = new Float32Array(valid.columns * count);
  const named = new Uint16Array(width * height);
  for (let y = 0; y < height; y++) {
    const [upper, lower] = [ys.first[y]! * side * count, ys.second[y]! * side * count];
    const down = ys.share[y]!;
    for (let at = 0; at < row.length; at++)
      row[at] = cosines[upper + at]! * (1 - down) + cosines[lower + at]! * down;
    for (let x = 0; x < width; x++) {
      const [left, right] = [xs.first[x]! * count, xs.second[x]! * count];
      named[y * width + x] = highestBetween(row, left, right, xs.share[x]!, count);
    }
  }
  return named;
}

/** Position of the highest of `count` values, each mixed of two. */
function highestBetween(
  values: Float32Array,
  left: number,
  right: number,
  share: number,
  count: number,
): number {
  let [best, highest] = [0, Number.NEGATIVE_INFINITY];
  const rest = 1 - share;
  for (let word = 0; word < count; word++) {
    const value = values[left + word]! * rest + values[right + word]! * share;
    if (value > highest) {
      highest = value;
      best = word;
    }
  }
  return best;
}
