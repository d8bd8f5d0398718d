import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  cropImage,
  degenerateCropReason,
  fitLongestSide,
  roundHalfToEven,
  studentImage,
  teacherImage,
  unfittableReason,
} from '../../trainer/images/geometry.ts';
import { clipNormalisation, normaliseInto } from '../../trainer/images/normalise.ts';
import { createRaster, type ImageMode, placeAsRgb } from '../../trainer/images/raster.ts';
import { resizeImage } from '../../trainer/images/resample.ts';

const side = fc.integer({ min: 1, max: 60 });

describe('geometry', () => {
  it('rounds as Python does', () => {
    const rounded = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4999, 2.5001, 7].map(roundHalfToEven);
    assert.deepEqual(rounded, [-2, -2, 0, 0, 2, 2, 2, 3, 7]);
  });

  it('fits the longest side exactly', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 2048 }), (longest, size) => {
        assert.equal(fitLongestSide(longest, 1, size).width, size);
        assert.equal(fitLongestSide(1, longest, size).height, size);
      }),
    );
  });

  it('pads the student right and bottom, the teacher around', () => {
    const white = createRaster(4, 2, 'L', new Uint8Array(8).fill(255));
    const lit = (rgb: Uint8Array) =>
      [0, 1, 2, 3].map(row => [0, 1, 2, 3].map(column => rgb[(row * 4 + column) * 3] === 255));
    assert.deepEqual(
      lit(studentImage(white, 4)).map(row => row.every(Boolean)),
      [true, true, false, false],
    );
    assert.deepEqual(
      lit(teacherImage(white, 4)).map(row => row.every(Boolean)),
      [false, true, true, false],
    );
  });

  it('refuses what would vanish', () => {
    assert.equal(
      unfittableReason(1000, 2, 224),
      '1000×2 pixels are too thin to be resized to 224 pixels on the longest side',
    );
    assert.equal(unfittableReason(1000, 3, 224), null);
    assert.throws(() => studentImage(createRaster(1000, 2, 'L'), 224), /too thin/);
  });

  it('names degenerate crops', () => {
    assert.equal(degenerateCropReason([0, 0, 10, 10], 224), null);
    assert.equal(degenerateCropReason([0.5, 0, 1.49, 10], 224), null);
    assert.match(degenerateCropReason([1.5, 0, 2.5, 10], 224)!, /^box \[1\.5, 0, 2\.5, 10\] holds no pixels/);
    assert.match(degenerateCropReason([5, 0, 5.4, 10], 224)!, /holds no pixels/);
    assert.match(degenerateCropReason([9, 0, 5, 10], 224)!, /holds no pixels/);
    assert.match(degenerateCropReason([0, 0, 1, 900], 224)!, /too thin/);
    assert.match(degenerateCropReason([0, 0, 1e6, 1e6], 224)!, /more than 178956970 pixels/);
    assert.match(degenerateCropReason([0, Number.NaN, 1, 9], 224)!, /not finite/);
  });

  it('crops beyond the image with black', () => {
    const image = createRaster(2, 2, 'L', Uint8Array.of(1, 2, 3, 4));
    assert.deepEqual([...cropImage(image, [-1, -1, 2, 1]).data], [0, 0, 0, 0, 1, 2]);
    assert.deepEqual([...cropImage(image, [1, 1, 3, 3]).data], [4, 0, 0, 0]);
    assert.deepEqual([...cropImage(image, [5, 5, 7, 6]).data], [0, 0]);
  });
});

describe('resizing', () => {
  it('keeps an even colour even in every mode', () => {
    const modes: ImageMode[] = ['1', 'L', 'LA', 'P', 'RGB', 'RGBA'];
    fc.assert(
      fc.property(
        fc.constantFrom(...modes),
        side,
        side,
        side,
        side,
        (mode, width, height, toWidth, toHeight) => {
          const image = createRaster(width, height, mode);
          for (let index = 0; index < image.data.length; index++)
            image.data[index] = 200 + (index % image.channels);
          const alpha = mode === 'LA' || mode === 'RGBA';
          if (alpha)
            for (let at = image.channels - 1; at < image.data.length; at += image.channels)
              image.data[at] = 255;
          const resized = resizeImage(image, toWidth, toHeight);
          assert.deepEqual([resized.width, resized.height, resized.mode], [toWidth, toHeight, mode]);
          const expected = Array.from(
            { length: resized.data.length },
            (_, index) => image.data[index % image.channels],
          );
          assert.deepEqual([...resized.data], expected);
        },
      ),
    );
  });

  it('turns with the image', () => {
    // Both passes are the same filter, so a one-pixel-thin image resizes alike lying and standing.
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), side, (values, length) => {
        const lying = resizeImage(createRaster(values.length, 1, 'L', values), length, 1);
        const standing = resizeImage(createRaster(1, values.length, 'L', values), 1, length);
        assert.deepEqual(lying.data, standing.data);
      }),
    );
  });

  it('gives new pixels even when nothing changes', () => {
    const image = createRaster(2, 1, 'L', Uint8Array.of(7, 8));
    const same = resizeImage(image, 2, 1);
    image.data[0] = 0;
    assert.deepEqual([...same.data], [7, 8]);
  });

  it('does not let transparent colours bleed', () => {
    const image = createRaster(2, 1, 'RGBA', Uint8Array.of(255, 0, 0, 255, 0, 255, 0, 0));
    const { data } = resizeImage(image, 4, 1);
    for (let pixel = 0; pixel < data.length; pixel += 4) assert.equal(data[pixel + 1], 0);
  });

  it('refuses an empty result', () => {
    assert.throws(() => resizeImage(createRaster(2, 2, 'L'), 0, 2), /cannot be resized to 0×2/);
  });
});

describe('conversion', () => {
  it('repeats grey and drops alpha', () => {
    const rgb = new Uint8Array(9);
    placeAsRgb(createRaster(1, 1, 'LA', Uint8Array.of(9, 0)), rgb, 3, 0, 0);
    placeAsRgb(createRaster(1, 1, 'RGBA', Uint8Array.of(1, 2, 3, 0)), rgb, 3, 2, 0);
    assert.deepEqual([...rgb], [9, 9, 9, 0, 0, 0, 1, 2, 3]);
  });

  it('normalises channel by channel at an offset', () => {
    const target = new Float32Array(8).fill(-9);
    const rgb = Uint8Array.of(0, 255, 0, 255, 0, 255);
    normaliseInto(rgb, { mean: [0, 0.5, 1], std: [1, 0.5, 2] }, target, 1);
    assert.deepEqual([...target], [-9, 0, 1, 1, -1, -0.5, 0, -9]);
    assert.throws(() => normaliseInto(rgb, clipNormalisation, target, 3), /too small/);
  });
});
