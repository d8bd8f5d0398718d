import assert from 'node:assert/strict';
import { clipNormalisation, normaliseInto } from '../../trainer/images/normalise.ts';
import { createRaster } from '../../trainer/images/raster.ts';
import { resampleBicubic } from '../../trainer/images/resample.ts';
import { resampleKernel } from '../../trainer/images/resampleKernel.ts';
import { keyedRandom } from '../../trainer/random.ts';

const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);

describe('resampling by vectors', () => {
  it('gives the bytes of the plain loops for any size', () => {
    assert.ok(resampleKernel() !== null, 'no vectors here');
    for (let round = 0; round < 150; round++) {
      const random = keyedRandom(seed, round);
      const side = () => 1 + random.uint(random.uint(2) === 0 ? 12 : 170);
      const [width, height] = [side(), side()];
      const image = createRaster(width, height, 'RGB');
      // Extremes beside each other overshoot, which must be clipped alike.
      const extreme = random.uint(2) === 0;
      for (let index = 0; index < image.data.length; index++)
        image.data[index] = extreme ? 255 * random.uint(2) : random.uint(256);
      const target: [number, number] = [
        random.uint(4) === 0 ? width : side(),
        random.uint(4) === 0 ? height : side(),
      ];
      const plain = resampleBicubic(image, ...target, false);
      const vectors = resampleBicubic(image, ...target);
      const what = `seed ${seed}, round ${round}: ${width}×${height} to ${target.join('×')}`;
      assert.ok(Buffer.from(vectors.data).equals(Buffer.from(plain.data)), what);
    }
  });
});

describe('normalisation by vectors', () => {
  it('gives the bits of the plain loop for every byte, at any size and place', () => {
    for (const [width, height, offset] of [
      [1, 1, 0],
      [5, 3, 7],
      [16, 16, 0],
      [224, 224, 3],
      [333, 91, 1],
    ] as const) {
      const rgb = Uint8Array.from(
        { length: 3 * width * height },
        (_, index) => (index * 89 + 7 * (index >> 8)) & 255,
      );
      const [byVectors, plain] = [true, false].map(vectors => {
        const target = new Float32Array(offset + rgb.length + 5).fill(9);
        normaliseInto(rgb, clipNormalisation, target, offset, vectors);
        return target;
      });
      assert.deepEqual(
        new Uint32Array(byVectors!.buffer),
        new Uint32Array(plain!.buffer),
        `${width} × ${height}`,
      );
    }
    const every = Uint8Array.from({ length: 768 }, (_, index) => Math.floor(index / 3));
    const target = new Float32Array(768);
    normaliseInto(every, clipNormalisation, target, 0);
    for (let byte = 0; byte < 256; byte++)
      for (const channel of [0, 1, 2] as const) {
        const shifted = Math.fround(Math.fround(byte / 255) - Math.fround(clipNormalisation.mean[channel]));
        assert.equal(
          target[channel * 256 + byte],
          Math.fround(shifted / Math.fround(clipNormalisation.std[channel])),
        );
      }
  });
});
