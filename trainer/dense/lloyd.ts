/** Lloyd's algorithm: points to the nearest centroid, centroids to the mean of their points, until nothing moves. */

import { type PointSet, squaredNorms } from './pointSet.ts';

export interface LloydResult {
  /** Cluster of each point. */
  labels: Int32Array;
  /** [k, dimension]. */
  centroids: Float32Array;
  /** Sum of squared distances of the points to their centroids. */
  inertia: number;
  iterations: number;
}

export interface LloydLimits {
  maxIterations: number;
  /** Stops when the centroids' squared movements add up to at most this share of the data's variance per channel. */
  tolerance: number;
}

/** @param initial Centroids to start from, [k, dimension]. */
export function lloyd(
  points: PointSet,
  initial: Float32Array,
  { maxIterations, tolerance }: LloydLimits,
): LloydResult {
  const clustering = new Clustering(points, initial);
  const threshold = tolerance * points.meanVariance;
  let iterations = 0;
  while (iterations < maxIterations) {
    iterations++;
    const movement = clustering.moveCentroids();
    const changed = clustering.assign();
    if (changed === 0 || movement <= threshold) break;
  }
  const { labels, centroids, inertia } = clustering;
  return { labels, centroids, inertia, iterations };
}

class Clustering {
  readonly labels: Int32Array;
  centroids: Float32Array;
  inertia = 0;
  readonly #points: PointSet;
  readonly #k: number;
  /** Squared distance of each point to its centroid. */
  readonly #distances: Float64Array;
  /** [k, dimension], of the points of each cluster; kept up to date as points change sides. */
  readonly #sums: Float64Array;
  readonly #counts: Int32Array;

  constructor(points: PointSet, initial: Float32Array) {
    this.#points = points;
    this.#k = initial.length / points.dimension;
    this.centroids = initial.slice();
    this.labels = new Int32Array(points.count).fill(-1);
    this.#distances = new Float64Array(points.count);
    this.#sums = new Float64Array(initial.length);
    this.#counts = new Int32Array(this.#k);
    this.assign();
  }

  /** Points to their nearest centroids, of equally near ones to the first. Returns how many changed. */
  assign(): number {
    const { squaredNorms: pointNorms, count } = this.#points;
    const { values, stride } = this.#points.products(this.centroids);
    const norms = squaredNorms(this.centroids, this.#points.dimension);
    let changed = 0;
    this.inertia = 0;
    for (let point = 0; point < count; point++) {
      let nearest = 0;
      let least = Number.POSITIVE_INFINITY;
      for (let cluster = 0; cluster < this.#k; cluster++) {
        const distance = norms[cluster]! - 2 * values[point * stride + cluster]!;
        if (distance >= least) continue;
        least = distance;
        nearest = cluster;
      }
      this.#distances[point] = Math.max(least + pointNorms[point]!, 0);
      this.inertia += this.#distances[point]!;
      if (nearest === this.labels[point]) continue;
      this.#move(point, nearest);
      changed++;
    }
    return changed;
  }

  #move(point: number, cluster: number): void {
    const before = this.labels[point]!;
    if (before >= 0) this.#count(point, before, -1);
    this.#count(point, cluster, 1);
    this.labels[point] = cluster;
  }

  /** Adds a point to a cluster's sum (sign 1) or takes it out (sign −1). */
  #count(point: number, cluster: number, sign: number): void {
    const { values, dimension } = this.#points;
    const row = values.subarray(point * dimension, (point + 1) * dimension);
    const sums = this.#sums.subarray(cluster * dimension, (cluster + 1) * dimension);
    if (sign > 0) for (let channel = 0; channel < dimension; channel++) sums[channel]! += row[channel]!;
    else for (let channel = 0; channel < dimension; channel++) sums[channel]! -= row[channel]!;
    this.#counts[cluster]! += sign;
  }

  /** Centroids to the means of their points; empty clusters get a new point first. Returns Σ movement². */
  moveCentroids(): number {
    this.#fillEmptyClusters();
    const { dimension } = this.#points;
    let movement = 0;
    for (let cluster = 0; cluster < this.#k; cluster++) {
      const count = this.#counts[cluster]!;
      if (count === 0) continue;
      for (let index = cluster * dimension; index < (cluster + 1) * dimension; index++) {
        const before = this.centroids[index]!;
        this.centroids[index] = this.#sums[index]! / count;
        movement += (this.centroids[index]! - before) ** 2;
      }
    }
    return movement;
  }

  /** An empty cluster takes the point that lies farthest from its own centroid (scikit-learn's rule). */
  #fillEmptyClusters(): void {
    for (let cluster = 0; cluster < this.#k; cluster++) {
      if (this.#counts[cluster] !== 0) continue;
      const farthest = this.#farthestPoint();
      // Fewer different points than clusters: this one stays empty.
      if (farthest < 0) return;
      this.#move(farthest, cluster);
      this.#distances[farthest] = 0;
    }
  }

  /** A point that does not lie on its centroid, up to rounding; −1 when there is none. */
  #farthestPoint(): number {
    let farthest = -1;
    let most = 1e-6;
    for (let point = 0; point < this.labels.length; point++)
      if (this.#distances[point]! > most && this.#counts[this.labels[point]!]! > 1) {
        most = this.#distances[point]!;
        farthest = point;
      }
    return farthest;
  }
}
