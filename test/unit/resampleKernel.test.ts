import assert from 'node:assert/strict';
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
