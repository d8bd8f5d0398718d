import assert from 'node:assert/strict';
import { decodeImage } from '../../trainer/images/decode.ts';
import { cropImage, type PixelBox, studentImage, teacherImage } from '../../trainer/images/geometry.ts';
import { clipNormalisation, normaliseInto } from '../../trainer/images/normalise.ts';
import { placeAsRgb, type Raster } from '../../trainer/images/raster.ts';
import {
  fixturePath,
  goldenBytes,
  goldenFloats,
  readGolden,
  readManifest,
} from '../support/goldenTensors.ts';

const golden = readGolden('preprocess/transforms.safetensors');
const decode = (name: string) => decodeImage(fixturePath(`preprocess/${name}`));

function toRgb(image: Raster): Uint8Array {
  const rgb = new Uint8Array(image.width * image.height * 3);
  placeAsRgb(image, rgb, image.width, 0, 0);
  return rgb;
}

function normalised(rgb: Uint8Array): Float32Array {
  const values = new Float32Array(rgb.length);
  normaliseInto(rgb, clipNormalisation, values, 0);
  return values;
}

describe('preprocessing equals the published method to the byte', () => {
  for (const [name, mode] of Object.entries({ a: 'RGB', b: 'RGB', gray: 'L', pal: 'P', rgba: 'RGBA' })) {
    it(`decodes ${name}.png as ${mode}`, async () => {
      const image = await decode(`${name}.png`);
      const expected = goldenBytes(golden, `${name}/decoded_rgb`);
      assert.equal(image.mode, mode);
      assert.deepEqual([image.height, image.width, 3], expected.shape);
      assert.deepEqual(toRgb(image), expected.data);
    });

    for (const view of [...golden.keys()].filter(key => key.startsWith(`${name}/`) && key.endsWith('/u8'))) {
      if (view.includes('crop')) continue;
      it(`computes ${view}`, async () => {
        const size = Number(/(\d+)\/u8$/.exec(view)![1]);
        const image = await decode(`${name}.png`);
        const rgb = view.includes('student') ? studentImage(image, size) : teacherImage(image, size);
        assert.deepEqual(rgb, goldenBytes(golden, view).data);
        // The repository's own set holds the normalised floats of the smaller views alone.
        const floats = view.replace('u8', 'f32');
        if (golden.has(floats) || size < 128)
          assert.deepEqual(normalised(rgb), goldenFloats(golden, floats).data);
      });
    }
  }

  const manifest = readManifest<{ crop_boxes_xyxy: PixelBox[]; crop_size: number }>('preprocess');
  manifest.crop_boxes_xyxy.forEach((box, index) => {
    it(`crops [${box.join(', ')}]`, async () => {
      const crop = cropImage(await decode('a.png'), box);
      const expected = goldenBytes(golden, `a/crop${index}/raw_u8`);
      assert.deepEqual([crop.height, crop.width, 3], expected.shape);
      assert.deepEqual(crop.data, expected.data);
      const rgb = teacherImage(crop, manifest.crop_size);
      assert.deepEqual(rgb, goldenBytes(golden, `a/crop${index}/u8`).data);
      assert.deepEqual(normalised(rgb), goldenFloats(golden, `a/crop${index}/f32`).data);
    });
  });
});

describe('JPEG decoding equals PIL with libjpeg-turbo to the byte', () => {
  const jpeg = readGolden('preprocess/jpeg.safetensors');
  for (const name of ['j420', 'j444prog', 'jexif', 'jgray']) {
    it(name, async () => {
      const image = await decode(`${name}.jpg`);
      const expected = goldenBytes(jpeg, name);
      assert.equal(image.mode, name === 'jgray' ? 'L' : 'RGB');
      assert.deepEqual([image.height, image.width, 3], expected.shape);
      assert.deepEqual(toRgb(image), expected.data);
    });
  }
});
