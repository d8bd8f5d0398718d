/**
 * K-Means of dense features as in the paper's Figure 1: squared Euclidean distance between unit features, which is
 * 2 − 2 · cosine, with centroids that are plain means (they are not brought back to unit norm), the same objective
 * as scikit-learn's KMeans on normalised features.
 *
 * Seeding is k-means++ from a fixed seed, several times over. On maps of more than `sampleSize` cells the restarts
 * compete on one random sample, and the best goes on with every cell: that is what makes them affordable.
 */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { type FeatureMap, type MapSize, validCellIndices, validUnitFeatures } from './featureMap.ts';
import { type LloydResult, lloyd } from './lloyd.ts';
import { medianFilterLabels } from './medianFilter.ts';
import { PointSet } from './pointSet.ts';

const sampleSize = 1024;

export interface KMeansOptions {
  k: number;
  /** Same seed, same clusters. */
  seed?: number;
  /** Seedings that compete for the lowest inertia. */
  restarts?: number;
  maxIterations?: number;
  /** See `LloydLimits`; scikit-learn's default, 1e-4. */
  tolerance?: number;
}

export interface KMeansResult {
  /** Cluster of each point, 0 … k − 1 from the largest cluster to the smallest. */
  labels: Int32Array;
  /** [k, dimension]. */
  centroids: Float32Array;
  /** Points in each cluster; 0 only where there are fewer different points than clusters. */
  counts: Int32Array;
  /** Sum of squared distances of the points to their centroids. */
  inertia: number;
  iterations: number;
}

/** Points made ready to be clustered several times: what each number of clusters needs is done once. */
export class ClusterPoints {
  readonly all: PointSet;
  #sampled: { seed: number; sample: PointSet; random: RandomGenerator } | null = null;

  /**
   * @param points [n, dimension], of unit norm where cosine is meant.
   * @param capacity Most clusters.
   */
  constructor(points: Float32Array, dimension: number, capacity: number) {
    if (!Number.isInteger(points.length / dimension))
      throw new Error(`${points.length} values are not rows of ${dimension}`);
    this.all = new PointSet(points, dimension, capacity);
  }

  get byteLength(): number {
    return this.all.values.byteLength;
  }

  /** What restarts compete on, all points where they are few, and the random numbers that come next. */
  sampled(seed: number): { sample: PointSet; random: RandomGenerator } {
    if (this.#sampled?.seed !== seed) {
      const random = xoroshiro128plus(seed);
      const { all } = this;
      const few = all.count <= sampleSize;
      const sample = few ? all : new PointSet(samplePoints(all, random), all.dimension, all.capacity);
      this.#sampled = { seed, sample, random };
    }
    const { sample, random } = this.#sampled;
    return { sample, random: random.clone() };
  }
}

/**
 * Clusters points.
 *
 * @param points [n, dimension], of unit norm where cosine is meant.
 * @throws Error when there are fewer points than clusters.
 */
export function kMeans(points: Float32Array, dimension: number, options: KMeansOptions): KMeansResult {
  return kMeansOf(new ClusterPoints(points, dimension, options.k), options);
}

function kMeansOf(points: ClusterPoints, options: KMeansOptions): KMeansResult {
  const { k, seed = 0, restarts = 4, maxIterations = 100, tolerance = 1e-4 } = options;
  const { count, dimension } = points.all;
  if (!(Number.isInteger(k) && k >= 1 && k <= count))
    throw new Error(`${count} cells cannot be divided into ${k} clusters`);
  const { sample, random } = points.sampled(seed);
  const limits = { maxIterations, tolerance };
  const sampled = sample !== points.all;
  // Enough to tell good seedings from bad ones: the best goes on with every point anyway.
  const trial = sampled ? { maxIterations, tolerance: 10 * tolerance } : limits;
  let best: LloydResult | undefined;
  for (let restart = 0; restart < Math.max(restarts, 1); restart++) {
    const candidate = lloyd(sample, seedCentroids(sample, k, random), trial);
    if (!best || candidate.inertia < best.inertia) best = candidate;
  }
  const result = sampled ? lloyd(points.all, best!.centroids, limits) : best!;
  return orderBySize(result, k, dimension);
}

/** Different points in random order. */
function samplePoints({ values, dimension, count }: PointSet, random: RandomGenerator): Float32Array {
  const order = Int32Array.from({ length: count }, (_, index) => index);
  const sample = new Float32Array(sampleSize * dimension);
  for (let drawn = 0; drawn < sampleSize; drawn++) {
    const other = uniformInt(random, drawn, count - 1);
    const chosen = order[other]!;
    order[other] = order[drawn]!;
    sample.set(values.subarray(chosen * dimension, (chosen + 1) * dimension), drawn * dimension);
  }
  return sample;
}

/**
 * k-means++ (Arthur and Vassilvitskii, 2007): each further centroid is a point drawn with a probability proportional
 * to its squared distance from the nearest centroid so far.
 */
export function seedCentroids(points: PointSet, k: number, random: RandomGenerator): Float32Array {
  const { count, dimension, squaredNorms, values } = points;
  const centroids = new Float32Array(k * dimension);
  const nearest = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  let chosen = uniformInt(random, 0, count - 1);
  for (let cluster = 0; cluster < k; cluster++) {
    const centroid = values.subarray(chosen * dimension, (chosen + 1) * dimension);
    centroids.set(centroid, cluster * dimension);
    const products = points.productsWith(centroid);
    for (let point = 0; point < count; point++) {
      const squared = squaredNorms[point]! + squaredNorms[chosen]! - 2 * products[point]!;
      nearest[point] = Math.min(nearest[point]!, Math.max(squared, 0));
    }
    // A chosen point may keep a rounding error of a distance to itself.
    nearest[chosen] = 0;
    chosen = drawProportionally(nearest, random);
  }
  return centroids;
}

function drawProportionally(weights: Float64Array, random: RandomGenerator): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const target = uniformFloat64(random) * total;
  let reached = 0;
  for (let index = 0; index < weights.length; index++) {
    reached += weights[index]!;
    if (reached > target) return index;
  }
  return uniformInt(random, 0, weights.length - 1);
}

/** Renames clusters from the largest to the smallest. */
function orderBySize(result: LloydResult, k: number, dimension: number): KMeansResult {
  const counts = new Int32Array(k);
  for (const label of result.labels) counts[label]!++;
  const order = Array.from({ length: k }, (_, cluster) => cluster).sort((a, b) => counts[b]! - counts[a]!);
  const rank = new Int32Array(k);
  const centroids = new Float32Array(k * dimension);
  order.forEach((cluster, position) => {
    rank[cluster] = position;
    centroids.set(
      result.centroids.subarray(cluster * dimension, (cluster + 1) * dimension),
      position * dimension,
    );
  });
  return {
    labels: result.labels.map(label => rank[label]!),
    centroids,
    counts: Int32Array.from(order, cluster => counts[cluster]!),
    inertia: result.inertia,
    iterations: result.iterations,
  };
}

export interface MapClusters {
  /** [rows, columns], −1 on padding. */
  labels: Int16Array;
  /** Share of the image's cells in each cluster; they add up to 1. */
  shares: number[];
  /** [k, dimension], before any smoothing. */
  centroids: Float32Array;
  inertia: number;
}

/** The unit features of the cells that hold image, ready for as many clusters. */
export const clusterPointsOf = (map: FeatureMap, capacity: number): ClusterPoints =>
  new ClusterPoints(validUnitFeatures(map), map.dimension, capacity);

/** Clusters the unit features of the cells that hold image, with the labels smoothed when asked for. */
export function clusterMap(map: FeatureMap, options: KMeansOptions & { median?: boolean }): MapClusters {
  return clusterCells(map, clusterPointsOf(map, options.k), options);
}

/** The same of points that were made ready from the map. */
export function clusterCells(
  map: MapSize,
  points: ClusterPoints,
  options: KMeansOptions & { median?: boolean },
): MapClusters {
  const { labels, centroids, inertia } = kMeansOf(points, options);
  const placed = new Int16Array(map.rows * map.columns).fill(-1);
  validCellIndices(map).forEach((cell, index) => {
    placed[cell] = labels[index]!;
  });
  const shown = options.median ? medianFilterLabels(placed, map) : placed;
  return { labels: shown, shares: clusterShares(shown, options.k, map), centroids, inertia };
}

/** Share of the image's cells that carry each label. */
export function clusterShares(labels: Int16Array, k: number, { valid }: MapSize): number[] {
  const counts = new Array<number>(k).fill(0);
  for (const label of labels) if (label >= 0) counts[label]!++;
  return counts.map(count => count / (valid.rows * valid.columns));
}
