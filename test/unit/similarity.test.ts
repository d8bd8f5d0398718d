import assert from 'node:assert/strict';
import fc from 'fast-check';
import { normaliseRows, poolBoxes } from '../../trainer/dense/imageFeatures.ts';
import {
  boxQuery,
  patchQuery,
  similarityMap,
  toUnitMap,
  valueRange,
} from '../../trainer/dense/similarity.ts';
import { randomMap } from '../support/numericSamples.ts';

const map = randomMap(6, 6, 10, { rows: 4, columns: 6 });
const unit = toUnitMap(map);

function cosine(features: Float32Array, left: number, right: number): number {
  let [product, one, other] = [0, 0, 0];
  for (let channel = 0; channel < 10; channel++) {
    const [a, b] = [features[left * 10 + channel]!, features[right * 10 + channel]!];
    product += a * b;
    one += a * a;
    other += b * b;
  }
  return product / Math.sqrt(one * other);
}

describe('similarity', () => {
  it('is the cosine with each patch, nothing on padding', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 5 }), (row, column) => {
        const values = similarityMap(unit, patchQuery(unit, row, column));
        for (let cell = 0; cell < 36; cell++) {
          if (cell >= 24) assert.ok(Number.isNaN(values[cell]!));
          else assert.ok(Math.abs(values[cell]! - cosine(map.features, row * 6 + column, cell)) < 1e-6);
        }
      }),
      { numRuns: 24 },
    );
  });

  it('leaves out padding on the right', () => {
    const tall = toUnitMap({ ...map, valid: { rows: 6, columns: 2 } });
    const values = similarityMap(tall, patchQuery(tall, 5, 1));
    values.forEach((value, cell) => {
      assert.equal(Number.isNaN(value), cell % 6 >= 2);
    });
  });

  it('asks one map with a patch of another', () => {
    const other = toUnitMap({ ...map, features: map.features.map(value => -3 * value) });
    const values = similarityMap(other, patchQuery(unit, 2, 3));
    assert.ok(Math.abs(values[2 * 6 + 3]! + 1) < 1e-6);
  });

  it('pools a box as CLIPSelf pools regions', () => {
    const image = { width: 120, height: 80 };
    const box = [13, 20, 90, 61] as const;
    const dense = { features: unit.features, side: 6 };
    const pooled = boxQuery(unit, box, image, 96);
    poolBoxes(dense, image, 96, [box]).forEach((value, index) => {
      assert.ok(Math.abs(value - pooled[index]!) < 1e-6);
    });
    assert.ok(Math.abs(Math.hypot(...pooled) - 1) < 1e-6);
  });

  it('refuses queries that are not there', () => {
    assert.throws(
      () => patchQuery(unit, 4, 0),
      /patch 4,0 is outside the image, which has rows 0 to 3 and columns 0 to 5/,
    );
    assert.throws(() => patchQuery(unit, 0.5, 0), /outside/);
    assert.throws(() => similarityMap(unit, new Float32Array(9)), /9 channels does not fit a map of 10/);
    assert.throws(
      () => boxQuery(unit, [500, 500, 600, 600], { width: 120, height: 80 }, 96),
      /no part of the image/,
    );
  });

  it('leaves the map as it was', () => {
    const before = map.features.slice();
    toUnitMap(map);
    assert.deepEqual(map.features, before);
    assert.deepEqual(unit.features, normaliseRows(before, 10));
  });

  it('knows its range', () => {
    assert.deepEqual(valueRange(Float32Array.of(Number.NaN, -0.5, 0.25)), { low: -0.5, high: 0.25 });
    assert.throws(() => valueRange(Float32Array.of(Number.NaN)), /no values/);
  });
});
