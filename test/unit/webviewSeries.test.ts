import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { StepRecord } from '../../trainer/protocol.ts';
import { decimate } from '../../webview/training/decimation.ts';
import { column, drawnPoints, nearestIndex, pointLimit } from '../../webview/training/series.ts';
import { smooth } from '../../webview/training/smoothing.ts';

describe('smoothing of a curve', () => {
  it('is the debiased exponential moving average', () => {
    // By hand, w = 0.5: m = 1, 2, 3.5 times (1 − w) sums, divided by 1 − 0.5ⁿ.
    const smoothed = smooth([2, 4, 6], 0.5);
    assert.equal(smoothed[0], 2);
    assert.ok(Math.abs(smoothed[1]! - (0.5 * 1 + 0.5 * 4) / 0.75) < 1e-12);
    assert.ok(Math.abs(smoothed[2]! - (0.5 * 2.5 + 0.5 * 6) / 0.875) < 1e-12);
  });

  it('leaves the values alone at weight 0 and a constant at any weight', () => {
    assert.deepEqual([...smooth([3, 1, 2], 0)], [3, 1, 2]);
    for (const value of smooth(new Float64Array(500).fill(0.7), 0.99))
      assert.ok(Math.abs(value - 0.7) < 1e-12);
  });

  it('keeps gaps and does not let them into the average', () => {
    const [first, gap, last] = smooth([1, Number.NaN, 1], 0.9);
    assert.equal(first, 1);
    assert.ok(Number.isNaN(gap));
    assert.ok(Math.abs(last! - 1) < 1e-12);
  });

  it('refuses a weight outside [0, 1)', () => {
    assert.throws(() => smooth([1], 1), /smoothing weight 1/);
    assert.throws(() => smooth([1], Number.NaN), /smoothing weight NaN/);
  });
});

describe('decimation of a curve', () => {
  it('keeps every value while there is room', () => {
    assert.deepEqual(decimate([5, 4, 3], 4), [0, 1, 2]);
  });

  it('keeps ends and extremes, ascends and respects the limit', () => {
    const values = fc.array(
      fc.oneof(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), fc.constant(Number.NaN)),
      {
        minLength: 1,
        maxLength: 400,
      },
    );
    fc.assert(
      fc.property(values, fc.integer({ min: 8, max: 60 }), (curve, limit) => {
        const chosen = decimate(curve, limit);
        assert.ok(chosen.length <= limit, `${chosen.length} of at most ${limit}`);
        assert.equal(chosen[0], 0);
        assert.equal(chosen[chosen.length - 1], curve.length - 1);
        for (let index = 1; index < chosen.length; index++) assert.ok(chosen[index]! > chosen[index - 1]!);
        const finite = curve.filter(Number.isFinite);
        if (finite.length === 0) return;
        const kept = chosen.map(index => curve[index]!).filter(Number.isFinite);
        assert.equal(Math.min(...kept), Math.min(...finite));
        assert.equal(Math.max(...kept), Math.max(...finite));
      }),
    );
  });

  it('leaves the choices for the past alone when values are appended', () => {
    const curve = Array.from({ length: 3000 }, (_, index) => Math.sin(index * index));
    const before = decimate(curve.slice(0, 2900), 500);
    const after = new Set(decimate(curve, 500));
    // The last bucket may still change.
    for (const index of before.filter(index => index < 2880))
      assert.ok(after.has(index), `index ${index} vanished`);
  });
});

describe('series of step records', () => {
  const record = (step: number, loss: number): StepRecord => ({
    step,
    epoch: 1,
    loss,
    lr: 1e-5,
    gradNorm: 1,
    imagesPerSecond: 2,
    memoryMib: 100,
    time: step,
  });

  it('turns what a record lacks into a gap', () => {
    const broken = JSON.parse('{"step":2,"epoch":1,"loss":null,"time":2}') as StepRecord;
    const values = column([record(1, 0.5), broken], 'loss');
    assert.equal(values[0], 0.5);
    assert.ok(Number.isNaN(values[1]));
    assert.ok(Number.isNaN(column([broken], 'gradNorm')[0]));
  });

  it('pairs the values that are drawn with their steps', () => {
    const records = Array.from({ length: 5000 }, (_, index) =>
      record(2 * index + 1, Math.cos(index * index)),
    );
    const points = drawnPoints({ steps: column(records, 'step'), values: column(records, 'loss') }, 2000);
    assert.ok(points.length <= 2000 && points.length > 1000);
    for (const { x, y } of points) assert.equal(y, Math.cos(((x - 1) / 2) ** 2));
  });

  it('asks for at most two points a pixel, within bounds', () => {
    assert.deepEqual([0, 600, 5000].map(pointLimit), [1000, 1200, 2000]);
  });

  it('finds the step nearest to a position', () => {
    assert.equal(nearestIndex([], 3), -1);
    const steps = [1, 5, 10, 200];
    const found = [-7, 1, 2.9, 3.1, 8, 104.9, 106, 1e9].map(step => nearestIndex(steps, step));
    assert.deepEqual(found, [0, 0, 0, 1, 2, 2, 3, 3]);
  });
});
