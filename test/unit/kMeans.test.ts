import assert from 'node:assert/strict';
import fc from 'fast-check';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { validUnitFeatures } from '../../trainer/dense/featureMap.ts';
import {
  clusterCells,
  clusterMap,
  clusterPointsOf,
  kMeans,
  seedCentroids,
} from '../../trainer/dense/kMeans.ts';
import { lloyd } from '../../trainer/dense/lloyd.ts';
import { PointSet } from '../../trainer/dense/pointSet.ts';
import { groupedPoints, normalValues, randomMap } from '../support/numericSamples.ts';

/** The definition, in plain loops and doubles. */
function naiveLloyd(points: Float32Array, dimension: number, initial: Float32Array, iterations: number) {
  const n = points.length / dimension;
  const k = initial.length / dimension;
  let centroids = Array.from(initial);
  const nearest = () =>
    Array.from({ length: n }, (_, point) => {
      const distances = Array.from({ length: k }, (_, cluster) => {
        let squared = 0;
        for (let channel = 0; channel < dimension; channel++)
          squared += (points[point * dimension + channel]! - centroids[cluster * dimension + channel]!) ** 2;
        return squared;
      });
      const least = Math.min(...distances);
      return { label: distances.indexOf(least), least };
    });
  let assigned = nearest();
  for (let iteration = 0; iteration < iterations; iteration++) {
    const before = assigned.map(({ label }) => label);
    centroids = centroids.map((old, index) => {
      const cluster = Math.floor(index / dimension);
      const members = before.flatMap((label, point) => (label === cluster ? [point] : []));
      if (members.length === 0) return old;
      const values = members.map(point => points[point * dimension + (index % dimension)]!);
      return values.reduce((sum, value) => sum + value, 0) / members.length;
    });
    assigned = nearest();
    if (assigned.every(({ label }, point) => label === before[point])) break;
  }
  return {
    labels: assigned.map(({ label }) => label),
    centroids,
    inertia: assigned.reduce((sum, { least }) => sum + least, 0),
  };
}

const untilStill = { maxIterations: 200, tolerance: 0 };

describe('Lloyd', () => {
  for (const [n, dimension, k] of [
    [60, 3, 4],
    [300, 37, 7],
    [200, 64, 16],
  ] as const)
    it(`finds the labels, centroids and inertia of the definition: ${n} × ${dimension}, k = ${k}`, () => {
      const points = normalValues(n * dimension, n);
      const initial = points.slice(0, k * dimension);
      const expected = naiveLloyd(points, dimension, initial, 200);
      const found = lloyd(new PointSet(points, dimension, k), initial, untilStill);
      assert.deepEqual(Array.from(found.labels), expected.labels);
      found.centroids.forEach((value, index) => {
        assert.ok(Math.abs(value - expected.centroids[index]!) < 1e-5);
      });
      assert.ok(Math.abs(found.inertia - expected.inertia) < 1e-5 * expected.inertia);
    });

  it('gives an empty cluster the farthest point', () => {
    // The third centroid is nobody's nearest; the point at 9 lies farthest from its own.
    const points = Float32Array.of(0, 0.1, 0.2, 5, 5.1, 9);
    const { labels, centroids } = lloyd(new PointSet(points, 1, 3), Float32Array.of(0, 5, 100), untilStill);
    assert.deepEqual(Array.from(labels), [0, 0, 0, 1, 1, 2]);
    assert.equal(centroids[2], 9);
  });
});

describe('K-Means', () => {
  it('recovers well separated groups, also where restarts see a sample only', () => {
    for (const n of [500, 2500]) {
      const { labels, counts } = kMeans(groupedPoints(n, 24, 5, 0.1), 24, { k: 5 });
      for (let point = 5; point < n; point++) assert.equal(labels[point], labels[point % 5]);
      assert.deepEqual(Array.from(counts), new Array(5).fill(n / 5));
    }
  });

  it('ends where the definition has nothing left to do', () => {
    const points = normalValues(1500 * 20, 'fixpoint');
    const found = kMeans(points, 20, { k: 6, maxIterations: 1000, tolerance: 0 });
    const again = naiveLloyd(points, 20, found.centroids, 1);
    assert.deepEqual(Array.from(found.labels), again.labels);
    assert.ok(Math.abs(found.inertia - again.inertia) < 1e-5 * again.inertia);
  });

  it('is the same each time with a seed and may differ with another', () => {
    const points = normalValues(400 * 16, 'seeds');
    const run = (seed: number) => kMeans(points, 16, { k: 8, seed, restarts: 1 });
    assert.deepEqual(run(3), run(3));
    const inertias = new Set([0, 1, 2, 3].map(seed => run(seed).inertia));
    assert.ok(inertias.size > 1);
  });

  it('keeps the best restart', () => {
    const points = normalValues(400 * 16, 'restarts');
    const inertia = (restarts: number) => kMeans(points, 16, { k: 8, restarts }).inertia;
    assert.ok(inertia(10) <= inertia(1));
  });

  it('gives points that were made ready once the clusters of points made ready for each number', () => {
    for (const side of [8, 40]) {
      const map = randomMap(side, side, 13);
      const points = clusterPointsOf(map, 9);
      for (const [k, seed] of [
        [7, 0],
        [3, 0],
        [9, 5],
        [7, 0],
      ] as const)
        assert.deepEqual(clusterCells(map, points, { k, seed }), clusterMap(map, { k, seed }));
    }
  });

  it('gives duplicates one cluster and leaves the others empty', () => {
    const { labels, counts } = kMeans(new Float32Array(40).fill(0.5), 4, { k: 3 });
    assert.deepEqual(Array.from(counts), [10, 0, 0]);
    assert.deepEqual(new Set(labels), new Set([0]));
  });

  it('refuses more clusters than points and ragged points', () => {
    assert.throws(
      () => kMeans(new Float32Array(8), 4, { k: 3 }),
      /2 cells cannot be divided into 3 clusters/,
    );
    assert.throws(() => kMeans(new Float32Array(9), 4, { k: 1 }), /9 values are not rows of 4/);
  });

  it('orders clusters by size and puts every point with its nearest centroid', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 18, maxLength: 90 }),
        (k, numbers) => {
          const points = Float32Array.from(numbers.slice(0, numbers.length - (numbers.length % 3)));
          const { labels, counts, centroids, inertia } = kMeans(points, 3, { k, tolerance: 0 });
          assert.deepEqual(counts, counts.slice().sort().reverse());
          const distance = (point: number, cluster: number) =>
            [0, 1, 2].reduce(
              (sum, axis) => sum + (points[point * 3 + axis]! - centroids[cluster * 3 + axis]!) ** 2,
              0,
            );
          let total = 0;
          labels.forEach((label, point) => {
            total += distance(point, label);
            for (let cluster = 0; cluster < k; cluster++)
              assert.ok(distance(point, label) <= distance(point, cluster) + 1e-5);
          });
          assert.ok(Math.abs(total - inertia) < 1e-4);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('K-Means seeding', () => {
  it('draws different points while there are any', () => {
    const points = Float32Array.of(0, 0, 1, 1, 2, 2, 3, 3);
    const drawn = seedCentroids(new PointSet(points, 1, 4), 4, xoroshiro128plus(5));
    assert.deepEqual(Array.from(drawn).sort(), [0, 1, 2, 3]);
  });

  it('draws in proportion to the squared distance', () => {
    // From 0 the distances squared are 0, 1 and 9: the second centroid is 3 in nine cases of ten.
    const random = xoroshiro128plus(8);
    const points = new PointSet(Float32Array.of(0, 1, 3), 1, 2);
    const draws = Array.from({ length: 3000 }, () => Array.from(seedCentroids(points, 2, random)));
    const fromZero = draws.filter(([first]) => first === 0);
    const far = fromZero.filter(([, second]) => second === 3).length / fromZero.length;
    assert.ok(Math.abs(far - 0.9) < 0.04, `${far}`);
  });
});

describe('clusters of a map', () => {
  const map = randomMap(8, 8, 12, { rows: 5, columns: 7 });

  it('never looks at padding', () => {
    const { labels, shares } = clusterMap(map, { k: 3 });
    const other = { ...map, features: map.features.slice() };
    for (let cell = 0; cell < 64; cell++)
      if (cell % 8 >= 7 || cell >= 40) other.features.fill(1e6, cell * 12, cell * 12 + 12);
    assert.deepEqual(clusterMap(other, { k: 3 }).labels, labels);
    for (let cell = 0; cell < 64; cell++) assert.equal(labels[cell] === -1, cell % 8 >= 7 || cell >= 40);
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-12);
  });

  it('clusters directions, not lengths', () => {
    const scaled = {
      ...map,
      features: map.features.map((value, index) => value * (1 + (Math.floor(index / 12) % 4))),
    };
    assert.deepEqual(clusterMap(scaled, { k: 4 }).labels, clusterMap(map, { k: 4 }).labels);
    for (let start = 0; start < 35 * 12; start += 12) {
      const row = validUnitFeatures(map).subarray(start, start + 12);
      assert.ok(Math.abs(Math.hypot(...row) - 1) < 1e-6);
    }
  });

  it('smooths labels when asked for', () => {
    const features = new Float32Array(7 * 7 * 2).map((_, index) => index % 2);
    // One odd cell in the middle.
    features.set([1, 0], 24 * 2);
    const lone = { features, rows: 7, columns: 7, dimension: 2, valid: { rows: 7, columns: 7 } };
    assert.equal(clusterMap(lone, { k: 2 }).labels[24], 1);
    const smoothed = clusterMap(lone, { k: 2, median: true });
    assert.equal(smoothed.labels[24], 0);
    assert.deepEqual(smoothed.shares, [1, 0]);
  });
});
