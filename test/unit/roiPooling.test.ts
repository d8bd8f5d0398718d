import assert from 'node:assert/strict';
import fc from 'fast-check';
import { maskPoolingRows } from '../../trainer/dense/maskPooling.ts';
import { fractionsToCells, pixelsToCells, roiAlignRows } from '../../trainer/dense/roiPooling.ts';
import { maxAbsDifference } from '../support/goldenTensors.ts';

const cells = fc.integer({ min: 1, max: 12 });
const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

describe('RoI pooling rows', () => {
  it('are an average of the map for boxes inside it', () => {
    fc.assert(
      fc.property(
        cells,
        cells,
        fc.array(fc.float({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
        (height, width, [a, b, c, d]) => {
          const [x0, x1] = [Math.min(a!, b!) * width, Math.max(a!, b!) * width];
          const [y0, y1] = [Math.min(c!, d!) * height, Math.max(c!, d!) * height];
          fc.pre(x1 - x0 > 1e-3 && y1 - y0 > 1e-3);
          const rows = roiAlignRows(Float32Array.of(x0, y0, x1, y1), { height, width });
          assert.ok(rows.every(weight => weight >= 0));
          assert.ok(Math.abs(sum(rows) - 1) < 1e-5);
        },
      ),
    );
  });

  it('average exactly the cells of a box on cell borders', () => {
    const rows = roiAlignRows(Float32Array.of(1, 0, 3, 2), { height: 3, width: 4 });
    assert.deepEqual([...rows], [0, 0.25, 0.25, 0, 0, 0.25, 0.25, 0, 0, 0, 0, 0]);
  });

  it('are zero for inverted, empty and distant boxes', () => {
    const boxes = Float32Array.of(3, 3, 1, 1, 2, 2, 2, 2, 50, 50, 60, 60, -20, -20, -10, -10);
    assert.equal(sum(roiAlignRows(boxes, { height: 4, width: 4 })), 0);
  });

  it('land at an offset of the given array and leave the rest alone', () => {
    const target = new Float32Array(20).fill(7);
    roiAlignRows(Float32Array.of(0, 0, 1, 1), { height: 2, width: 2 }, { height: 1, width: 1 }, target, 4);
    assert.deepEqual([...target.subarray(0, 10)], [7, 7, 7, 7, 1, 0, 0, 0, 7, 7]);
  });

  it('refuse boxes that are no region', () => {
    for (const end of [Number.POSITIVE_INFINITY, Number.NaN, 1e9]) {
      assert.throws(
        () => roiAlignRows(Float32Array.of(0, 0, end, 1), { height: 2, width: 2 }),
        /cannot be pooled/,
      );
    }
  });

  it('take boxes in pixels through the padded image to cells', () => {
    const map = { height: 64, width: 64 };
    const whole = pixelsToCells(Float32Array.of(0, 0, 640, 480), 1024 / 640, 1024, map);
    assert.deepEqual([...whole], [0, 0, 64, 48]);
    assert.ok(
      maxAbsDifference(
        fractionsToCells(Float32Array.of(0.5, 0.5, 1, 1), { height: 3, width: 5 }),
        [2.5, 1.5, 5, 3],
      ) === 0,
    );
  });
});

describe('mask pooling rows', () => {
  it('average the cells inside and give zeros for an empty mask', () => {
    const rows = maskPoolingRows(Uint8Array.of(1, 0, 255, 0, 0, 0, 0, 0), 4);
    assert.deepEqual([...rows], [0.5, 0, 0.5, 0, 0, 0, 0, 0]);
    assert.throws(() => maskPoolingRows(new Uint8Array(7), 4), /not whole masks/);
  });
});
