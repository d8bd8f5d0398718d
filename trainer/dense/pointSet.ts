import { dotProducts } from './dotProducts.ts';
import { simdKernel } from './simdKernel.ts';

/** Rows that are multiplied with many vectors, kept where the fast kernel reads them. */
export class PointSet {
  readonly count: number;
  readonly dimension: number;
  /** [count, dimension], as given. */
  readonly values: Float32Array;
  /** [count]: ‖row‖². */
  readonly squaredNorms: Float64Array;
  readonly #capacity: number;
  readonly #fast: FastProducts | null;

  /**
   * @param values [count, dimension].
   * @param capacity Most vectors of one call to `products`.
   */
  constructor(values: Float32Array, dimension: number, capacity: number) {
    this.values = values;
    this.dimension = dimension;
    this.count = values.length / dimension;
    this.squaredNorms = squaredNorms(values, dimension);
    this.#capacity = capacity;
    this.#fast = FastProducts.create(values, dimension, capacity);
  }

  /**
   * Inner product of each row with each vector.
   *
   * @param vectors [m, dimension].
   * @returns [count, m]; valid until the next call.
   */
  products(vectors: Float32Array): { values: Float32Array; stride: number } {
    const m = vectors.length / this.dimension;
    if (m > this.#capacity) throw new Error(`${m} vectors, made for ${this.#capacity}`);
    if (this.#fast) return this.#fast.products(vectors);
    const target = new Float32Array(this.count * m);
    return { values: dotProducts(this.values, vectors, this.dimension, target), stride: m };
  }
}

/** [rows]: the squared Euclidean norm of each row. */
export function squaredNorms(rows: Float32Array, dimension: number): Float64Array {
  const norms = new Float64Array(rows.length / dimension);
  for (let row = 0; row < norms.length; row++) {
    let sum = 0;
    for (let index = row * dimension; index < (row + 1) * dimension; index++)
      sum += rows[index]! * rows[index]!;
    norms[row] = sum;
  }
  return norms;
}

/** The kernel takes rows of whole vector registers and vectors in fours: the rest is filled with zeros. */
const upToFour = (count: number): number => Math.ceil(count / 4) * 4;

class FastProducts {
  readonly #run: (vectorsEnd: number) => void;
  readonly #vectors: Float32Array;
  readonly #target: Float32Array;
  readonly #count: number;
  readonly #dimension: number;
  readonly #width: number;

  static create(points: Float32Array, dimension: number, capacity: number): FastProducts | null {
    const width = upToFour(dimension);
    const count = points.length / dimension;
    const vectorCount = upToFour(capacity);
    const bytes = 4 * (count * width + vectorCount * width + count * vectorCount);
    const made = simdKernel(bytes);
    if (!made) return null;
    const { buffer } = made.memory;
    const rows = new Float32Array(buffer, 0, count * width);
    const vectors = new Float32Array(buffer, rows.byteLength, vectorCount * width);
    const target = new Float32Array(buffer, rows.byteLength + vectors.byteLength, count * vectorCount);
    for (let row = 0; row < count; row++)
      rows.set(points.subarray(row * dimension, (row + 1) * dimension), row * width);
    const run = (vectorsEnd: number): void =>
      made.kernel(
        0,
        rows.byteLength,
        vectors.byteOffset,
        vectors.byteOffset + vectorsEnd,
        4 * width,
        target.byteOffset,
      );
    return new FastProducts(run, vectors, target, count, dimension);
  }

  private constructor(
    run: (vectorsEnd: number) => void,
    vectors: Float32Array,
    target: Float32Array,
    count: number,
    dimension: number,
  ) {
    this.#run = run;
    this.#vectors = vectors;
    this.#target = target;
    this.#count = count;
    this.#dimension = dimension;
    this.#width = upToFour(dimension);
  }

  products(vectors: Float32Array): { values: Float32Array; stride: number } {
    const width = this.#width;
    const dimension = this.#dimension;
    const m = vectors.length / dimension;
    const stride = upToFour(m);
    for (let vector = 0; vector < m; vector++)
      this.#vectors.set(vectors.subarray(vector * dimension, (vector + 1) * dimension), vector * width);
    this.#vectors.fill(0, m * width, stride * width);
    this.#run(stride * width * 4);
    return { values: this.#target.subarray(0, this.#count * stride), stride };
  }
}
