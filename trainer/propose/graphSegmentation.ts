import type { LabImage } from './lab.ts';

/** Every pixel's segment, numbered from 0. */
export interface Segmentation {
  /** [height × width] */
  labels: Int32Array;
  count: number;
}

/** Right, down and both diagonals: each pair of neighbours once. */
const directions = [
  [1, 0],
  [0, 1],
  [1, 1],
  [-1, 1],
] as const;

/**
 * Graph-based segmentation (Felzenszwalb & Huttenlocher, IJCV 2004): neighbouring pixels are joined in the order of
 * their difference in colour, unless it exceeds what the segments themselves contain plus `scale` / size.
 *
 * @param edges The image's, from `pixelEdges`.
 * @param scale Preference for larger segments, in units of L*a*b* distance × pixels.
 * @param leastPixels Smaller segments are joined to the neighbour they differ least from.
 */
export function segmentGraph(
  { pixels, from, to, weights, order }: PixelEdges,
  scale: number,
  leastPixels: number,
): Segmentation {
  const forest = new Forest(pixels, scale);
  for (const edge of order) forest.join(from[edge]!, to[edge]!, weights[edge]!);
  for (const edge of order) forest.joinSmall(from[edge]!, to[edge]!, leastPixels);
  return forest.labels();
}

/** Pairs of neighbouring pixels. */
export interface PixelEdges {
  /** Pixels of the image. */
  pixels: number;
  from: Int32Array;
  to: Int32Array;
  /** Distance of their colours. */
  weights: Float32Array;
  /** Edges by weight, ascending; equal ones in the order of the pixels. */
  order: Uint32Array;
}

/** The neighbours of an image with the distance of their colours, sorted once for every scale. */
export function pixelEdges({ width, height, data }: LabImage): PixelEdges {
  const most = width * height * directions.length;
  const [from, to, weights] = [new Int32Array(most), new Int32Array(most), new Float32Array(most)];
  let count = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (const [right, down] of directions) {
        const [otherX, otherY] = [x + right, y + down];
        if (otherX < 0 || otherX >= width || otherY >= height) continue;
        const [a, b] = [y * width + x, otherY * width + otherX];
        from[count] = a;
        to[count] = b;
        weights[count++] = Math.hypot(
          data[a * 3]! - data[b * 3]!,
          data[a * 3 + 1]! - data[b * 3 + 1]!,
          data[a * 3 + 2]! - data[b * 3 + 2]!,
        );
      }
  return { pixels: width * height, from, to, weights, order: byWeight(weights.subarray(0, count)) };
}

/** Room for the number of an edge below its weight: 2²¹ edges. */
const edgeNumbers = 2 ** 21;

/** Numbers sort many times faster than by a comparison: the weight in 65,536ths, and below it the edge. */
function byWeight(weights: Float32Array): Uint32Array {
  if (weights.length > edgeNumbers) throw new RangeError(`${weights.length} pairs of pixels are too many`);
  const keys = new Float64Array(weights.length);
  for (let edge = 0; edge < keys.length; edge++)
    keys[edge] = Math.floor(weights[edge]! * 65536) * edgeNumbers + edge;
  keys.sort();
  const order = new Uint32Array(keys.length);
  for (let place = 0; place < keys.length; place++) order[place] = keys[place]! % edgeNumbers;
  return order;
}

/** Disjoint sets of pixels with the largest difference that joined each. */
class Forest {
  readonly #parents: Int32Array;
  readonly #sizes: Int32Array;
  readonly #thresholds: Float32Array;
  readonly #scale: number;

  constructor(pixels: number, scale: number) {
    this.#parents = Int32Array.from({ length: pixels }, (_, pixel) => pixel);
    this.#sizes = new Int32Array(pixels).fill(1);
    this.#thresholds = new Float32Array(pixels).fill(scale);
    this.#scale = scale;
  }

  join(a: number, b: number, weight: number): void {
    const [left, right] = [this.#root(a), this.#root(b)];
    if (left === right || weight > this.#thresholds[left]! || weight > this.#thresholds[right]!) return;
    const root = this.#unite(left, right);
    this.#thresholds[root] = weight + this.#scale / this.#sizes[root]!;
  }

  joinSmall(a: number, b: number, leastPixels: number): void {
    const [left, right] = [this.#root(a), this.#root(b)];
    if (left !== right && Math.min(this.#sizes[left]!, this.#sizes[right]!) < leastPixels)
      this.#unite(left, right);
  }

  labels(): Segmentation {
    const numbers = new Map<number, number>();
    const labels = this.#parents.map((_, pixel) => {
      const root = this.#root(pixel);
      const known = numbers.get(root) ?? numbers.size;
      numbers.set(root, known);
      return known;
    });
    return { labels, count: numbers.size };
  }

  #unite(left: number, right: number): number {
    const [root, child] = this.#sizes[left]! >= this.#sizes[right]! ? [left, right] : [right, left];
    this.#parents[child] = root;
    this.#sizes[root]! += this.#sizes[child]!;
    return root;
  }

  #root(pixel: number): number {
    let root = pixel;
    while (this.#parents[root] !== root) {
      this.#parents[root] = this.#parents[this.#parents[root]!]!;
      root = this.#parents[root]!;
    }
    return root;
  }
}
