import assert from 'node:assert/strict';
import {
  growthInterval,
  initialLossScale,
  isExhausted,
  type LossScale,
  nextLossScale,
} from '../../trainer/distill/lossScale.ts';

describe('the dynamic loss scale', () => {
  const advanced = (steps: number, finite: boolean, from: LossScale = initialLossScale): LossScale =>
    Array.from({ length: steps }).reduce<LossScale>(state => nextLossScale(state, finite), from);

  it('begins where the published code begins', () => {
    assert.deepEqual(initialLossScale, { scale: 65536, goodSteps: 0, skippedSteps: 0 });
  });

  it('halves at an overflow, counts it, and forgets the steps before', () => {
    const grown = advanced(7, true);
    assert.deepEqual(advanced(1, false, grown), { scale: 32768, goodSteps: 0, skippedSteps: 1 });
    assert.deepEqual(advanced(3, false, grown), { scale: 8192, goodSteps: 0, skippedSteps: 3 });
  });

  it('doubles after two thousand steps in a row without one, and begins to count anew', () => {
    assert.equal(growthInterval, 2000);
    assert.deepEqual(advanced(1999, true), { scale: 65536, goodSteps: 1999, skippedSteps: 0 });
    assert.deepEqual(advanced(2000, true), { scale: 131072, goodSteps: 0, skippedSteps: 0 });
    assert.deepEqual(advanced(4000, true), { scale: 262144, goodSteps: 0, skippedSteps: 0 });
    const interrupted = advanced(1999, true, advanced(1, false, advanced(1999, true)));
    assert.deepEqual(interrupted, { scale: 32768, goodSteps: 1999, skippedSteps: 1 });
  });

  it('is exhausted below 1', () => {
    assert.ok(!isExhausted(advanced(16, false)));
    assert.ok(isExhausted(advanced(17, false)));
  });
});
