/**
 * Principal components of dense features, three of them shown as red, green and blue. Maps that are compared share
 * one basis and one scaling, so that the same colour means the same feature.
 */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { dotProducts } from './dotProducts.ts';
import { type FeatureMap, validUnitFeatures } from './featureMap.ts';
import { chosenCoordinates, fittedComponents, mapColours } from './pcaColours.ts';
import { PointSet } from './pointSet.ts';
import { symmetricEigen } from './symmetricEigen.ts';

export interface PcaBasis {
  dimension: number;
  /** [dimension]. */
  mean: Float32Array;
  /** [components, dimension], orthonormal, most variance first; the entry of largest size is positive. */
  components: Float32Array;
  /** [components]: variance along each, with n − 1 in the denominator. */
  variances: Float64Array;
  /** Each component's share of the variance of all channels. */
  explainedVariance: number[];
}

/** Extra directions that the iteration carries along, so that the last one asked for settles soon. */
const oversampling = 5;
const maximumIterations = 60;
/** Relative change of the variances at which the iteration stops. */
const settled = 1e-6;

/**
 * The leading principal components by block power iteration with Rayleigh–Ritz (Halko, Martinsson and Tropp 2011,
 * section 4.5), which never forms the covariance matrix.
 *
 * @param points [n, dimension].
 * @param count Components wanted; at most `dimension`, at most n − 1.
 */
export function fitPca(points: Float32Array, dimension: number, count: number): PcaBasis {
  const n = points.length / dimension;
  if (!(Number.isInteger(n) && n >= 2)) throw new Error('principal components need two cells or more');
  if (!(Number.isInteger(count) && count >= 1 && count <= Math.min(dimension, n - 1)))
    throw new Error(`${n} cells of ${dimension} channels have no ${count} principal components`);
  const { mean, centred, variance } = centre(points, dimension);
  const width = Math.min(count + oversampling, dimension, n);
  const operator = new Scatter(centred, dimension, width);
  let block: Float64Array = orthonormalRows(randomRows(width, dimension), dimension);
  let values: Float64Array = new Float64Array(width);
  for (let iteration = 0; iteration < maximumIterations; iteration++) {
    const step = operator.rayleighRitz(block);
    const change = largestChange(values, step.values, count);
    values = step.values;
    block = step.rotated;
    if (change <= settled) break;
    block = orthonormalRows(step.next, dimension);
  }
  const components = withPositiveLargest(block.slice(0, count * dimension), dimension);
  const variances = values.slice(0, count).map(value => value / (n - 1));
  const explainedVariance = Array.from(variances, value => (variance > 0 ? value / variance : 0));
  return { dimension, mean, components: Float32Array.from(components), variances, explainedVariance };
}

function centre(points: Float32Array, dimension: number) {
  const n = points.length / dimension;
  const sums = new Float64Array(dimension);
  for (let start = 0; start < points.length; start += dimension)
    for (let channel = 0; channel < dimension; channel++) sums[channel]! += points[start + channel]!;
  const mean = Float32Array.from(sums, sum => sum / n);
  const centred = new Float32Array(points.length);
  let squares = 0;
  for (let start = 0; start < points.length; start += dimension)
    for (let channel = 0; channel < dimension; channel++) {
      const value = points[start + channel]! - mean[channel]!;
      centred[start + channel] = value;
      squares += value * value;
    }
  return { mean, centred, variance: squares / (n - 1) };
}

/** XᵀX of centred points X without forming it. */
class Scatter {
  readonly #rows: PointSet;
  readonly #columns: PointSet;

  constructor(centred: Float32Array, dimension: number, width: number) {
    const n = centred.length / dimension;
    this.#rows = new PointSet(centred, dimension, width);
    this.#columns = new PointSet(transpose(centred, n, dimension), n, width);
  }

  /**
   * Turns orthonormal rows into the best approximate eigenvectors of their span.
   *
   * @param block [m, dimension], orthonormal.
   * @returns The approximate eigenvalues and eigenvectors, and XᵀX applied to the latter.
   */
  rayleighRitz(block: Float64Array): { values: Float64Array; rotated: Float64Array; next: Float64Array } {
    const { dimension, count } = this.#rows;
    const m = block.length / dimension;
    const projected = this.#rows.products(Float32Array.from(block));
    const along = new Float32Array(m * count);
    for (let row = 0; row < count; row++)
      for (let index = 0; index < m; index++)
        along[index * count + row] = projected.values[row * projected.stride + index]!;
    const gram = dotProducts(along, along, count, new Float32Array(m * m));
    const { values, vectors } = symmetricEigen(Float64Array.from(gram), m);
    const applied = this.#columns.products(along);
    const image = new Float64Array(m * dimension);
    for (let channel = 0; channel < dimension; channel++)
      for (let index = 0; index < m; index++)
        image[index * dimension + channel] = applied.values[channel * applied.stride + index]!;
    return { values, rotated: combine(vectors, block, m), next: combine(vectors, image, m) };
  }
}

/** weights [m, m] · rows [m, length]. */
function combine(weights: Float64Array, rows: Float64Array, m: number): Float64Array {
  const length = rows.length / m;
  const result = new Float64Array(rows.length);
  for (let to = 0; to < m; to++)
    for (let from = 0; from < m; from++) {
      const weight = weights[to * m + from]!;
      for (let index = 0; index < length; index++)
        result[to * length + index]! += weight * rows[from * length + index]!;
    }
  return result;
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = values[row * columns + column]!;
  return result;
}

/** Directions to start from; always the same. */
function randomRows(rows: number, length: number): Float64Array {
  const random = xoroshiro128plus(0);
  return Float64Array.from({ length: rows * length }, () => uniformFloat64(random) - 0.5);
}

/** Gram–Schmidt, twice for accuracy, in place; a row that depends on those before it becomes zero. */
function orthonormalRows(rows: Float64Array, length: number): Float64Array {
  for (let start = 0; start < rows.length; start += length) {
    const row = rows.subarray(start, start + length);
    const before = norm(row);
    for (let pass = 0; pass < 2; pass++)
      for (let other = 0; other < start; other += length) {
        let product = 0;
        for (let index = 0; index < length; index++) product += row[index]! * rows[other + index]!;
        for (let index = 0; index < length; index++) row[index]! -= product * rows[other + index]!;
      }
    const after = norm(row);
    const factor = after > 1e-10 * before ? 1 / after : 0;
    for (let index = 0; index < length; index++) row[index]! *= factor;
  }
  return rows;
}

const norm = (row: Float64Array): number => Math.sqrt(row.reduce((total, value) => total + value * value, 0));

function largestChange(before: Float64Array, after: Float64Array, count: number): number {
  let most = 0;
  const scale = Math.max(after[0]!, Number.MIN_VALUE);
  for (let index = 0; index < count; index++)
    most = Math.max(most, Math.abs(after[index]! - before[index]!) / scale);
  return most;
}

/** The sign of a component means nothing; this choice (scikit-learn's) makes it the same every time. */
function withPositiveLargest(rows: Float64Array, length: number): Float64Array {
  for (let start = 0; start < rows.length; start += length) {
    const row = rows.subarray(start, start + length);
    let largest = 0;
    for (const value of row) if (Math.abs(value) > Math.abs(largest)) largest = value;
    if (largest < 0) for (let index = 0; index < length; index++) row[index] = -row[index]!;
  }
  return rows;
}

/**
 * Coordinates of points along chosen components.
 *
 * @param points [n, dimension].
 * @param chosen Component numbers, from 0.
 * @returns [n, chosen].
 */
export function projectPca(points: Float32Array, basis: PcaBasis, chosen: readonly number[]): Float32Array {
  const { dimension, components, mean } = basis;
  const available = components.length / dimension;
  const vectors = new Float32Array(chosen.length * dimension);
  chosen.forEach((component, index) => {
    if (!(Number.isInteger(component) && component >= 0 && component < available))
      throw new Error(`component ${component} is none of ${available}`);
    vectors.set(components.subarray(component * dimension, (component + 1) * dimension), index * dimension);
  });
  const count = points.length / dimension;
  const coordinates = new Float32Array(count * chosen.length);
  dotProducts(points, vectors, dimension, coordinates);
  const offsets = dotProducts(mean, vectors, dimension, new Float32Array(chosen.length));
  return coordinates.map((value, index) => value - offsets[index % chosen.length]!);
}

/** Principal components of one or several maps, and where their cells lie along them. */
export interface PcaFit {
  basis: PcaBasis;
  /** For each map [valid cells, components]. */
  coordinates: Float32Array[];
}

export interface PcaMaps {
  basis: PcaBasis;
  /** For each map [rows, columns, 3], 0 … 255; black on padding. */
  colours: Uint8Array[];
  /** For each map [valid cells, 3]: the coordinates that were coloured. */
  coordinates: Float32Array[];
}

/**
 * The basis that maps share.
 *
 * @param highest Number of the last component that is to be shown, from 0.
 */
export function fitMaps(maps: readonly FeatureMap[], highest: number): PcaFit {
  const dimension = maps[0]?.dimension ?? 0;
  if (maps.length === 0 || maps.some(map => map.dimension !== dimension))
    throw new Error('principal components are shared by maps of the same number of channels only');
  const points = maps.map(validUnitFeatures);
  const all = concatenate(points);
  const available = Math.min(dimension, all.length / dimension - 1);
  const basis = fitPca(all, dimension, Math.max(highest + 1, Math.min(fittedComponents, available)));
  const numbers = basis.explainedVariance.map((_, component) => component);
  return { basis, coordinates: points.map(values => projectPca(values, basis, numbers)) };
}

/** Three components of one or several maps as colours, from a basis that all of them share. */
export function pcaOfMaps(
  maps: readonly FeatureMap[],
  components: readonly [number, number, number] = [0, 1, 2],
): PcaMaps {
  const { basis, coordinates } = fitMaps(maps, Math.max(...components));
  const chosen = chosenCoordinates(coordinates, basis.explainedVariance.length, components);
  return { basis, coordinates: chosen, colours: mapColours(chosen, maps) };
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Float32Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
