import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  assignRows,
  matchByCentroids,
  matchByOverlap,
  persistentColours,
} from '../../trainer/dense/clusterMatching.ts';
import { medianFilterLabels } from '../../trainer/dense/medianFilter.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { normalValues } from '../support/numericSamples.ts';

/** The lowest total over all ways to give `rows` rows different columns; with fewer columns, all columns rows. */
function cheapest(costs: Float64Array, rows: number, columns: number): number {
  const visit = (row: number, used: number, skips: number): number => {
    if (row === rows) return 0;
    let best = skips > 0 ? visit(row + 1, used, skips - 1) : Number.POSITIVE_INFINITY;
    for (let column = 0; column < columns; column++)
      if ((used & (1 << column)) === 0)
        best = Math.min(best, costs[row * columns + column]! + visit(row + 1, used | (1 << column), skips));
    return best;
  };
  return visit(0, 0, Math.max(rows - columns, 0));
}

describe('assignment', () => {
  it('costs no more than the best of all permutations', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 36, maxLength: 36 }),
        (rows, columns, numbers) => {
          const costs = Float64Array.from(numbers.slice(0, rows * columns));
          const assignment = assignRows(costs, rows, columns);
          const taken = Array.from(assignment).filter(column => column >= 0);
          assert.equal(new Set(taken).size, taken.length);
          assert.equal(taken.length, Math.min(rows, columns));
          const total = assignment.reduce(
            (sum, column, row) => sum + (column < 0 ? 0 : costs[row * columns + column]!),
            0,
          );
          assert.equal(total, cheapest(costs, rows, columns));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('refuses costs that are no matrix of numbers', () => {
    assert.throws(() => assignRows(new Float64Array(5), 2, 3), /not a finite 2 × 3 matrix/);
    assert.throws(() => assignRows(Float64Array.of(Number.NaN), 1, 1), /not a finite/);
  });
});

const grid = (rows: number, columns: number, valid = { rows, columns }) => ({ rows, columns, valid });

describe('matching clusters', () => {
  it('undoes a renaming, whatever the size of the map', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer(),
        (k, factor, seed) => {
          const random = keyedRandom(seed, 'labels');
          const labels = Int16Array.from({ length: 36 }, (_, cell) => (cell < k ? cell : random.uint(k)));
          const renamed = random.shuffle(Array.from({ length: k }, (_, cluster) => cluster));
          const side = 6 * factor;
          const larger = Int16Array.from({ length: side * side }, (_, cell) => {
            const [row, column] = [Math.floor(cell / side / factor), Math.floor((cell % side) / factor)];
            return renamed[labels[row * 6 + column]!]!;
          });
          const matches = matchByOverlap(
            { labels: larger, ...grid(side, side) },
            k,
            { labels, ...grid(6, 6) },
            k,
          );
          renamed.forEach((name, cluster) => {
            assert.equal(matches[name], cluster);
          });
        },
      ),
    );
  });

  it('does not count padding', () => {
    const reference = Int16Array.of(0, 1, -1, -1);
    const labels = Int16Array.of(1, 0, -1, -1);
    const size = grid(2, 2, { rows: 1, columns: 2 });
    assert.deepEqual(
      Array.from(matchByOverlap({ labels, ...size }, 2, { labels: reference, ...size }, 2)),
      [1, 0],
    );
  });

  it('finds the nearest centroids', () => {
    const reference = normalValues(5 * 12, 'centroids');
    const order = [3, 0, 4, 1, 2];
    const moved = Float32Array.from(
      order.flatMap(cluster =>
        Array.from(reference.subarray(cluster * 12, cluster * 12 + 12), value => value + 0.05),
      ),
    );
    assert.deepEqual(Array.from(matchByCentroids(moved, reference, 12)), order);
  });

  it('keeps matched colours and takes unused ones for the rest', () => {
    const colours = persistentColours(Int32Array.of(1, -1, 0, -1), [4, 0]);
    assert.deepEqual(Array.from(colours), [0, 1, 4, 2]);
  });
});

describe('median filter of labels', () => {
  it('takes the commonest label around, the own one of equals', () => {
    const labels = Int16Array.of(0, 0, 1, 0, 2, 1, 0, 1, 1);
    // Centre: four of 0, four of 1, one of 2: the own one is out, the lowest of equals wins.
    assert.deepEqual(Array.from(medianFilterLabels(labels, grid(3, 3))), [0, 0, 1, 0, 0, 1, 0, 1, 1]);
  });

  it('neither changes padding nor lets it vote', () => {
    const labels = Int16Array.of(1, -1, -1, 1, -1, -1, 0, -1, -1);
    const filtered = medianFilterLabels(labels, grid(3, 3, { rows: 3, columns: 1 }));
    assert.deepEqual(Array.from(filtered), [1, -1, -1, 1, -1, -1, 0, -1, -1]);
  });

  it('refuses labels of another size', () => {
    assert.throws(() => medianFilterLabels(new Int16Array(5), grid(2, 2)), /5 labels are not a 2 × 2 map/);
  });
});
