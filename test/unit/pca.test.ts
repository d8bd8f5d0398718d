import assert from 'node:assert/strict';
import { validUnitFeatures } from '../../trainer/dense/featureMap.ts';
import { fitMaps, fitPca, pcaOfMaps, projectPca } from '../../trainer/dense/pca.ts';
import {
  chosenCoordinates,
  fittedComponents,
  mapColours,
  pcaColours,
  percentile,
} from '../../trainer/dense/pcaColours.ts';
import { symmetricEigen } from '../../trainer/dense/symmetricEigen.ts';
import { normalValues, randomMap } from '../support/numericSamples.ts';

/** The covariance matrix from its definition. */
function covariance(points: Float32Array, dimension: number): number[][] {
  const n = points.length / dimension;
  const column = (channel: number) =>
    Array.from({ length: n }, (_, point) => points[point * dimension + channel]!);
  const columns = Array.from({ length: dimension }, (_, channel) => {
    const values = column(channel);
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    return values.map(value => value - mean);
  });
  return columns.map(a => columns.map(b => a.reduce((sum, value, i) => sum + value * b[i]!, 0) / (n - 1)));
}

/** Leading eigenpairs one after the other by power iteration and deflation, to the last digit. */
function eigenpairs(matrix: number[][], count: number): { value: number; vector: number[] }[] {
  const work = matrix.map(row => row.slice());
  return Array.from({ length: count }, (_, start) => {
    let vector = work.map((_, index) => Math.cos(1 + index * (start + 1)));
    let value = 0;
    for (let iteration = 0; iteration < 5000; iteration++) {
      const next = work.map(row => row.reduce((sum, entry, index) => sum + entry * vector[index]!, 0));
      value = Math.hypot(...next);
      vector = next.map(entry => entry / value);
    }
    work.forEach((row, i) => {
      row.forEach((_, j) => {
        row[j]! -= value * vector[i]! * vector[j]!;
      });
    });
    return { value, vector };
  });
}

/** Points with standard deviations 5, 2.5, 1.67, … along skewed axes. */
function spreadPoints(n: number, dimension: number): Float32Array {
  const axes = normalValues(dimension * dimension, 'axes');
  const points = new Float32Array(n * dimension);
  const amounts = normalValues(n * dimension, 'amounts');
  for (let point = 0; point < n; point++)
    for (let axis = 0; axis < dimension; axis++)
      for (let channel = 0; channel < dimension; channel++)
        points[point * dimension + channel]! +=
          (amounts[point * dimension + axis]! * axes[axis * dimension + channel]! * 5) / (1 + axis) ** 1.5;
  return points.map(value => value + 3);
}

const alignment = (left: ArrayLike<number>, right: ArrayLike<number>): number =>
  Math.abs(Array.from(left).reduce((sum, value, index) => sum + value * right[index]!, 0));

describe('symmetric eigenvalues', () => {
  it('satisfy the definition', () => {
    const n = 9;
    const half = normalValues(n * n, 'symmetric');
    const matrix = Float64Array.from(half, (_, index) => {
      const [row, column] = [Math.floor(index / n), index % n];
      return half[row * n + column]! + half[column * n + row]!;
    });
    const { values, vectors } = symmetricEigen(matrix, n);
    assert.deepEqual(values, values.slice().sort().reverse());
    for (let pair = 0; pair < n; pair++) {
      const vector = vectors.subarray(pair * n, pair * n + n);
      assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-12);
      for (let row = 0; row < n; row++) {
        const image = vector.reduce((sum, value, column) => sum + value * matrix[row * n + column]!, 0);
        assert.ok(Math.abs(image - values[pair]! * vector[row]!) < 1e-12);
      }
    }
  });
});

describe('principal components', () => {
  for (const [n, dimension] of [
    [200, 12],
    [500, 40],
    [20, 30],
  ] as const)
    it(`are the covariance matrix's eigenvectors: ${n} × ${dimension}`, () => {
      const points = spreadPoints(n, dimension);
      const matrix = covariance(points, dimension);
      const total = matrix.reduce((sum, row, index) => sum + row[index]!, 0);
      const basis = fitPca(points, dimension, 4);
      eigenpairs(matrix, 4).forEach(({ value, vector }, index) => {
        const component = basis.components.subarray(index * dimension, (index + 1) * dimension);
        assert.ok(Math.abs(basis.variances[index]! / value - 1) < 1e-3, `variance ${index}`);
        assert.ok(alignment(component, vector) > 0.9999, `component ${index}`);
        assert.ok(Math.abs(basis.explainedVariance[index]! - value / total) < 1e-4);
        const largest = component.reduce(
          (most, entry) => (Math.abs(entry) > Math.abs(most) ? entry : most),
          0,
        );
        assert.ok(largest > 0, 'sign');
      });
    });

  it('explain everything when all are taken', () => {
    const { explainedVariance } = fitPca(spreadPoints(50, 6), 6, 6);
    assert.ok(Math.abs(explainedVariance.reduce((sum, share) => sum + share, 0) - 1) < 1e-5);
  });

  it('give coordinates of zero mean whose variances are the components’', () => {
    const points = spreadPoints(300, 10);
    const basis = fitPca(points, 10, 3);
    const coordinates = projectPca(points, basis, [2, 0]);
    for (const [position, component] of [2, 0].entries()) {
      const values = Array.from(coordinates).filter((_, index) => index % 2 === position);
      const mean = values.reduce((sum, value) => sum + value, 0) / 300;
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 299;
      assert.ok(Math.abs(mean) < 1e-4);
      assert.ok(Math.abs(variance / basis.variances[component]! - 1) < 1e-4);
    }
  });

  it('leave what has no variance at zero', () => {
    const { explainedVariance, components } = fitPca(new Float32Array(60).fill(1), 6, 2);
    assert.deepEqual(explainedVariance, [0, 0]);
    assert.ok(components.every(Number.isFinite));
  });

  it('refuse what has no components', () => {
    assert.throws(() => fitPca(new Float32Array(6), 6, 1), /two cells or more/);
    assert.throws(() => fitPca(new Float32Array(30), 6, 5), /5 cells of 6 channels have no 5 principal/);
    assert.throws(
      () => projectPca(new Float32Array(6), fitPca(spreadPoints(9, 6), 6, 2), [2]),
      /component 2/,
    );
  });
});

describe('colours of principal components', () => {
  it('run from the 1st to the 99th percentile of all maps together', () => {
    const ramp = (from: number) =>
      Float32Array.from({ length: 303 }, (_, index) => from + Math.floor(index / 3));
    // Values 0 … 201 over both maps: the percentiles are 2.01 and 198.99.
    const [low, high] = pcaColours([ramp(0), ramp(101)]);
    assert.deepEqual(Array.from(low!.subarray(0, 3)), [0, 0, 0]);
    assert.deepEqual(Array.from(high!.subarray(300)), [255, 255, 255]);
    assert.equal(low![3 * 50], Math.round((255 * (50 - 2.01)) / 196.98));
    assert.equal(high![3 * 50], Math.round((255 * (151 - 2.01)) / 196.98));
  });

  it('take percentiles as NumPy does', () => {
    assert.equal(percentile(Float32Array.of(1, 2, 4, 8), 50), 3);
    assert.equal(percentile(Float32Array.of(1, 2, 4, 8), 100), 8);
    assert.equal(percentile(Float32Array.of(5), 99), 5);
  });

  it('agree where two maps hold the same feature, and leave padding black', () => {
    const first = randomMap(6, 6, 8, { rows: 4, columns: 6 });
    const second = { ...first, features: first.features.slice(), valid: { rows: 4, columns: 5 } };
    const { colours, basis } = pcaOfMaps([first, second], [0, 1, 2]);
    const cell = (map: number, index: number) => Array.from(colours[map]!.subarray(3 * index, 3 * index + 3));
    for (let row = 0; row < 4; row++)
      for (let column = 0; column < 5; column++)
        assert.deepEqual(cell(0, row * 6 + column), cell(1, row * 6 + column));
    assert.deepEqual(cell(1, 5), [0, 0, 0]);
    assert.deepEqual(cell(0, 30), [0, 0, 0]);
    const together = new Float32Array([...validUnitFeatures(first), ...validUnitFeatures(second)]);
    assert.deepEqual(basis, fitPca(together, 8, fittedComponents));
  });

  it('are those of one fit, whichever components are shown', () => {
    const maps = [randomMap(6, 6, 12, { rows: 5, columns: 6 })];
    const fit = fitMaps(maps, 2);
    for (const components of [
      [0, 1, 2],
      [7, 3, 5],
      [4, 4, 0],
    ] as [number, number, number][]) {
      const whole = pcaOfMaps(maps, components);
      const { basis, coordinates } = fit;
      const chosen = chosenCoordinates(coordinates, basis.explainedVariance.length, components);
      assert.deepEqual({ basis, coordinates: chosen, colours: mapColours(chosen, maps) }, whole);
      const projected = projectPca(validUnitFeatures(maps[0]!), whole.basis, components);
      assert.deepEqual(whole.coordinates, [projected]);
    }
    assert.equal(pcaOfMaps(maps, [0, 1, 9]).basis.explainedVariance.length, 10);
  });
});
