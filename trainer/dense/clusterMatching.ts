/** Gives the clusters of one map the colours of another map's, so that colours persist across models and sizes. */

import { dotOfRows } from './dotProducts.ts';
import type { MapSize } from './featureMap.ts';

/** A clustered map: labels [rows, columns], −1 on padding. */
export interface LabelMap extends MapSize {
  labels: Int16Array;
}

/**
 * The assignment of rows to columns with the lowest total cost (the Hungarian method by shortest augmenting paths;
 * Jonker and Volgenant 1987). With more rows than columns some rows stay without: −1.
 *
 * @param costs [rows, columns], finite.
 * @returns [rows], a column each.
 */
export function assignRows(costs: Float64Array, rows: number, columns: number): Int32Array {
  if (costs.length !== rows * columns || !costs.every(Number.isFinite))
    throw new Error(`${costs.length} costs are not a finite ${rows} × ${columns} matrix`);
  const size = Math.max(rows, columns);
  const cost = (row: number, column: number): number =>
    row < rows && column < columns ? costs[row * columns + column]! : 0;
  const rowPotential = new Float64Array(size);
  const columnPotential = new Float64Array(size);
  const rowOf = new Int32Array(size).fill(-1);
  for (let row = 0; row < size; row++) augment(row, size, cost, rowPotential, columnPotential, rowOf);
  const assignment = new Int32Array(rows).fill(-1);
  for (let column = 0; column < columns; column++)
    if (rowOf[column]! < rows) assignment[rowOf[column]!] = column;
  return assignment;
}

/** Finds a column for `start`, moving earlier rows along the cheapest alternating path. */
function augment(
  start: number,
  size: number,
  cost: (row: number, column: number) => number,
  rowPotential: Float64Array,
  columnPotential: Float64Array,
  rowOf: Int32Array,
): void {
  const distance = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
  const previous = new Int32Array(size).fill(-1);
  const done = new Uint8Array(size);
  let row = start;
  let last = -1;
  let reached = 0;
  do {
    let next = -1;
    for (let column = 0; column < size; column++) {
      if (done[column]) continue;
      const through = reached + cost(row, column) - rowPotential[row]! - columnPotential[column]!;
      if (through < distance[column]!) {
        distance[column] = through;
        previous[column] = last;
      }
      if (next < 0 || distance[column]! < distance[next]!) next = column;
    }
    reached = distance[next]!;
    done[next] = 1;
    last = next;
    row = rowOf[next]!;
  } while (row >= 0);
  rowPotential[start]! += reached;
  for (let column = 0; column < size; column++) {
    if (!done[column] || column === last) continue;
    rowPotential[rowOf[column]!]! += reached - distance[column]!;
    columnPotential[column]! -= reached - distance[column]!;
  }
  while (last >= 0) {
    const before = previous[last]!;
    rowOf[last] = before < 0 ? start : rowOf[before]!;
    last = before;
  }
}

/**
 * For each cluster of `map` the cluster of `reference` that takes the same place, so that as many cells as possible
 * agree. Maps of different sizes are compared where they show the same part of the padded image.
 *
 * @returns [k]; −1 where nothing is left to match.
 */
export function matchByOverlap(
  map: LabelMap,
  k: number,
  reference: LabelMap,
  referenceK: number,
): Int32Array {
  const costs = new Float64Array(k * referenceK);
  const rows = Math.max(map.rows, reference.rows);
  const columns = Math.max(map.columns, reference.columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const label = labelAt(map, row / rows, column / columns, 0.5 / rows, 0.5 / columns);
      const other = labelAt(reference, row / rows, column / columns, 0.5 / rows, 0.5 / columns);
      if (label >= 0 && other >= 0) costs[label * referenceK + other]! -= 1;
    }
  return assignRows(costs, k, referenceK);
}

/** The label at a place given as fractions of the padded image, from the centre of the finer map's cell. */
function labelAt(map: LabelMap, top: number, left: number, halfHeight: number, halfWidth: number): number {
  const row = Math.floor((top + halfHeight) * map.rows);
  const column = Math.floor((left + halfWidth) * map.columns);
  return map.labels[row * map.columns + column]!;
}

/**
 * For each centroid the reference centroid that belongs to it, by the lowest total squared distance; for features of
 * one model, such as the same layer at another size or another image.
 *
 * @param centroids [k, dimension].
 * @param reference [reference k, dimension].
 * @returns [k]; −1 where nothing is left to match.
 */
export function matchByCentroids(
  centroids: Float32Array,
  reference: Float32Array,
  dimension: number,
): Int32Array {
  const k = centroids.length / dimension;
  const referenceK = reference.length / dimension;
  const squared = (rows: Float32Array, row: number): number =>
    dotOfRows(rows, row * dimension, rows, row * dimension, dimension);
  const costs = new Float64Array(k * referenceK);
  for (let row = 0; row < k; row++)
    for (let column = 0; column < referenceK; column++) {
      const product = dotOfRows(centroids, row * dimension, reference, column * dimension, dimension);
      costs[row * referenceK + column] = squared(centroids, row) + squared(reference, column) - 2 * product;
    }
  return assignRows(costs, k, referenceK);
}

/**
 * Colour numbers of clusters: a matched cluster takes its partner's, the others the lowest numbers that no cluster of
 * the reference uses.
 *
 * @param matches [k], from `matchByOverlap` or `matchByCentroids`.
 * @param referenceColours Colour number of each cluster of the reference.
 */
export function persistentColours(matches: Int32Array, referenceColours: ArrayLike<number>): Int32Array {
  const taken = new Set(Array.from(referenceColours));
  let free = 0;
  return matches.map(match => {
    if (match >= 0) return referenceColours[match]!;
    while (taken.has(free)) free++;
    taken.add(free);
    return free;
  });
}
