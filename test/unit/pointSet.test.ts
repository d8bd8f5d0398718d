import assert from 'node:assert/strict';
import { dotOfRows, dotProducts } from '../../trainer/dense/dotProducts.ts';
import { PointSet } from '../../trainer/dense/pointSet.ts';
import { simdKernel } from '../../trainer/dense/simdKernel.ts';
import { normalValues } from '../support/numericSamples.ts';

function definition(points: Float32Array, vectors: Float32Array, dimension: number): number[] {
  const products: number[] = [];
  for (let point = 0; point < points.length; point += dimension)
    for (let vector = 0; vector < vectors.length; vector += dimension) {
      let sum = 0;
      for (let channel = 0; channel < dimension; channel++)
        sum += points[point + channel]! * vectors[vector + channel]!;
      products.push(sum);
    }
  return products;
}

describe('inner products', () => {
  // Sizes on both sides of multiples of four.
  for (const [n, m, dimension] of [
    [1, 1, 1],
    [5, 3, 7],
    [8, 4, 16],
    [9, 6, 30],
    [13, 17, 65],
  ] as const) {
    const points = normalValues(n * dimension, 'p', n);
    const vectors = normalValues(m * dimension, 'v', m);
    const expected = definition(points, vectors, dimension);

    it(`agree with the definition: ${n} points, ${m} vectors of ${dimension}`, () => {
      const products = dotProducts(points, vectors, dimension, new Float32Array(n * m));
      products.forEach((value, index) => {
        assert.ok(Math.abs(value - expected[index]!) < 1e-5);
      });
      assert.ok(Math.abs(dotOfRows(points, 0, vectors, 0, dimension) - expected[0]!) < 1e-6);
    });

    it(`agree in the WebAssembly kernel: ${n} points, ${m} vectors of ${dimension}`, () => {
      const set = new PointSet(points, dimension, m + 3);
      // A call with more vectors first: what it leaves behind must not show.
      set.products(normalValues((m + 3) * dimension, 'other'));
      const { values, stride } = set.products(vectors);
      for (let point = 0; point < n; point++)
        for (let vector = 0; vector < m; vector++)
          assert.ok(Math.abs(values[point * stride + vector]! - expected[point * m + vector]!) < 1e-4);
      const first = Array.from({ length: n }, (_, point) => values[point * stride]!);
      assert.deepEqual([...set.productsWith(vectors.subarray(0, dimension))], first);
    });
  }

  it('have a kernel here', () => {
    assert.notEqual(simdKernel(1024), null);
  });

  it('refuse more vectors than were announced', () => {
    assert.throws(() => new PointSet(new Float32Array(8), 4, 1).products(new Float32Array(8)), /2 vectors/);
  });

  it('come out the same without WebAssembly', () => {
    const points = normalValues(11 * 9, 'plain');
    const vectors = normalValues(5 * 9, 'plain vectors');
    const fast = new PointSet(points, 9, 5).products(vectors);
    const { WebAssembly: api } = globalThis as unknown as { WebAssembly: unknown };
    try {
      Object.assign(globalThis, { WebAssembly: undefined });
      const plain = new PointSet(points, 9, 5).products(vectors);
      assert.equal(plain.stride, 5);
      for (let point = 0; point < 11; point++)
        for (let vector = 0; vector < 5; vector++) {
          const difference = plain.values[point * 5 + vector]! - fast.values[point * fast.stride + vector]!;
          assert.ok(Math.abs(difference) < 1e-5);
        }
    } finally {
      Object.assign(globalThis, { WebAssembly: api });
    }
  });
});
