import assert from 'node:assert/strict';
import fc from 'fast-check';
import { batchOf, epochOrder, replacementIndices, stepsPerEpoch } from '../../trainer/distill/sampler.ts';
import { keyedRandom } from '../../trainer/random.ts';

const seed = fc.integer({ min: 0, max: 2 ** 31 });

describe('keyedRandom', () => {
  it('gives the same numbers for the same key and others for another', () => {
    const draw = (...keys: (number | string)[]) => {
      const random = keyedRandom(0, ...keys);
      return Array.from({ length: 8 }, () => random.uint(1_000_000));
    };
    assert.deepEqual(draw('a', 1), draw('a', 1));
    const others = [draw('a', 1), draw('a', 2), draw('a', 11), draw('a', 1, 1), draw('a1'), draw('a', '1')];
    assert.equal(new Set(others.map(String)).size, others.length);
  });

  it('does not change between versions', () => {
    const random = keyedRandom(0, 'patches', 3, 7);
    assert.deepEqual([random.uint(100), random.uint(100), random.uint(100)], [11, 36, 38]);
  });

  it('draws evenly', () => {
    const random = keyedRandom(5, 'even');
    const counts = new Array<number>(24).fill(0);
    for (let draw = 0; draw < 24_000; draw++) counts[random.uint(24)]!++;
    // Six standard deviations of a binomial with 24 000 draws and p = 1/24.
    for (const count of counts) assert.ok(Math.abs(count - 1000) < 6 * Math.sqrt(1000), String(counts));
    const mean =
      Array.from({ length: 10_000 }, () => random.float()).reduce((sum, value) => sum + value) / 10_000;
    assert.ok(Math.abs(mean - 0.5) < 6 * Math.sqrt(1 / 12 / 10_000));
  });

  it('refuses to draw from nothing', () => {
    assert.throws(() => keyedRandom(0).uint(0), /below 0/);
  });
});

describe('sampler', () => {
  it('orders every epoch as a permutation of its own', () => {
    fc.assert(
      fc.property(seed, fc.nat(50), fc.nat(300), (value, epoch, count) => {
        const order = epochOrder(value, epoch, count);
        assert.deepEqual(
          order.toSorted(),
          Uint32Array.from({ length: count }, (_, index) => index),
        );
        assert.deepEqual(epochOrder(value, epoch, count), order);
      }),
    );
    assert.notDeepEqual(epochOrder(0, 0, 50), epochOrder(0, 1, 50));
    assert.notDeepEqual(epochOrder(0, 0, 50), epochOrder(1, 0, 50));
  });

  it('visits every position of an epoch once and drops what does not fill a batch', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 0, max: 60 }),
        fc.nat(5),
        (batch, extra, epoch) => {
          const count = batch + extra;
          const steps = stepsPerEpoch(count, batch);
          const places = Array.from({ length: steps }, (_, step) =>
            batchOf(epoch * steps + step, batch, count),
          );
          assert.ok(places.every(place => place.epoch === epoch));
          const positions = places.flatMap(place => place.positions);
          assert.deepEqual(
            positions,
            Array.from({ length: steps * batch }, (_, index) => index),
          );
          assert.ok(count - positions.length < batch);
        },
      ),
    );
  });

  it('says when the images do not fill a batch', () => {
    assert.throws(() => batchOf(0, 2, 1), /^Error: 1 image cannot fill a batch of 2/);
  });

  it('reaches every image as a replacement, the same way each time', () => {
    fc.assert(
      fc.property(seed, fc.integer({ min: 1, max: 40 }), (value, count) => {
        const indices = [...replacementIndices(value, 2, 5, count)];
        assert.equal(new Set(indices).size, count);
        assert.ok(indices.every(index => index >= 0 && index < count));
        assert.deepEqual([...replacementIndices(value, 2, 5, count)], indices);
      }),
    );
  });
});
