import { dotProducts } from './dotProducts.ts';
import { type Kernel, simdKernel } from './simdKernel.ts';

/** Rows that are multiplied with many vectors, kept where the fast kernel reads them. */
export class PointSet {
  readonly count: number;
  readonly dimension: number;
  /** [count, dimension], as given. */
  readonly values: Float32Array;
  /** [count]: ‖row‖². */
  readonly squaredNorms: Float64Array;
  /** Most vectors of one call to `products`. */
  readonly capacity: number;
  readonly #fast: FastProducts | null;
  #meanVariance: number | null = null;

  /**
   * @param values [count, dimension].
   * @param capacity Most vectors of one call to `products`.
   */
  constructor(values: Float32Array, dimension: number, capacity: number) {
    this.dimension = dimension;
    this.count = values.length / dimension;
    this.squaredNorms = squaredNorms(values, dimension);
    this.capacity = capacity;
    this.#fast = FastProducts.create(values, dimension, capacity);
    // Not twice in memory.
    this.values = this.#fast?.givenRows ?? values;
  }

  /** Mean over channels of the variance over rows. */
  get meanVariance(): number {
    this.#meanVariance ??= meanVariance(this);
    return this.#meanVariance;
  }

  /**
   * Inner product of each row with each vector.
   *
   * @param vectors [m, dimension].
   * @returns [count, m]; valid until the next call.
   */
  products(vectors: Float32Array): { values: Float32Array; stride: number } {
    const m = vectors.length / this.dimension;
    if (m > this.capacity) throw new Error(`${m} vectors, made for ${this.capacity}`);
    if (this.#fast) return this.#fast.products(vectors);
    const target = new Float32Array(this.count * m);
    return { values: dotProducts(this.values, vectors, this.dimension, target), stride: m };
  }

  /**
   * Inner product of each row with one vector, the same as among several.
   *
   * @param vector [dimension].
   * @returns [count]; valid until the next call.
   */
  productsWith(vector: Float32Array): Float32Array {
    if (this.#fast) return this.#fast.productsWith(vector);
    return dotProducts(vector, this.values, this.dimension, new Float32Array(this.count));
  }
}

function meanVariance({ values, count, dimension, squaredNorms }: PointSet): number {
  const sums = new Float64Array(dimension);
  for (let start = 0; start < values.length; start += dimension)
    for (let channel = 0; channel < dimension; channel++) sums[channel]! += values[start + channel]!;
  const squares = squaredNorms.reduce((total, norm) => total + norm, 0) / count;
  const squaredMeans = sums.reduce((total, sum) => total + (sum / count) ** 2, 0);
  return Math.max(squares - squaredMeans, 0) / dimension;
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
  /** The rows as they were given, where they lie in the kernel's memory without zeros between them. */
  readonly givenRows: Float32Array | null;
  readonly #kernel: Kernel;
  /** [rows in fours, width]. */
  readonly #rows: Float32Array;
  readonly #vectors: Float32Array;
  readonly #target: Float32Array;
  readonly #count: number;
  readonly #dimension: number;
  readonly #width: number;

  static create(points: Float32Array, dimension: number, capacity: number): FastProducts | null {
    const width = upToFour(dimension);
    const count = points.length / dimension;
    const vectorCount = upToFour(capacity);
    const rowCount = upToFour(count);
    const made = simdKernel(4 * (rowCount * width + vectorCount * width + rowCount * vectorCount));
    if (!made) return null;
    const { buffer } = made.memory;
    const rows = new Float32Array(buffer, 0, rowCount * width);
    const vectors = new Float32Array(buffer, rows.byteLength, vectorCount * width);
    const target = new Float32Array(buffer, rows.byteLength + vectors.byteLength, rowCount * vectorCount);
    if (width === dimension) rows.set(points);
    else
      for (let row = 0; row < count; row++)
        rows.set(points.subarray(row * dimension, (row + 1) * dimension), row * width);
    return new FastProducts(made.kernel, rows, vectors, target, count, dimension);
  }

  private constructor(
    kernel: Kernel,
    rows: Float32Array,
    vectors: Float32Array,
    target: Float32Array,
    count: number,
    dimension: number,
  ) {
    this.#kernel = kernel;
    this.#rows = rows;
    this.#vectors = vectors;
    this.#target = target;
    this.#count = count;
    this.#dimension = dimension;
    this.#width = upToFour(dimension);
    this.givenRows = this.#width === dimension ? rows.subarray(0, count * dimension) : null;
  }

  products(vectors: Float32Array): { values: Float32Array; stride: number } {
    const width = this.#width;
    const dimension = this.#dimension;
    const m = vectors.length / dimension;
    const stride = upToFour(m);
    for (let vector = 0; vector < m; vector++)
      this.#vectors.set(vectors.subarray(vector * dimension, (vector + 1) * dimension), vector * width);
    this.#vectors.fill(0, m * width, stride * width);
    this.#run(this.#rows, this.#count, this.#vectors, stride);
    return { values: this.#target.subarray(0, this.#count * stride), stride };
  }

  /** The rows in fours against the one vector: the other way round, three of four products would be with zeros. */
  productsWith(vector: Float32Array): Float32Array {
    this.#vectors.set(vector);
    this.#vectors.fill(0, vector.length, this.#width);
    this.#run(this.#vectors, 1, this.#rows, upToFour(this.#count));
    return this.#target.subarray(0, this.#count);
  }

  #run(points: Float32Array, pointCount: number, vectors: Float32Array, vectorCount: number): void {
    const rowBytes = 4 * this.#width;
    this.#kernel(
      points.byteOffset,
      points.byteOffset + pointCount * rowBytes,
      vectors.byteOffset,
      vectors.byteOffset + vectorCount * rowBytes,
      rowBytes,
      this.#target.byteOffset,
    );
  }
}
