import assert from 'node:assert/strict';
import { pixelsToPaddedFractions } from '../../trainer/dense/roiPooling.ts';
import {
  enlargeBox,
  fractionsToPixels,
  type GridChoice,
  gridCells,
  gridChoices,
} from '../../trainer/distill/gridPatches.ts';
import { type DecodedImage, decodeImage } from '../../trainer/images/decode.ts';
import { cropImage, fitLongestSide, studentImage, teacherImage } from '../../trainer/images/geometry.ts';
import { clipNormalisation, normaliseInto } from '../../trainer/images/normalise.ts';
import { fixturePath, goldenFloats, readGolden, readManifest } from '../support/goldenTensors.ts';

const golden = readGolden('datasets/grid.safetensors');
const imageSize = 64;
const cropSize = 32;
const maxBoxes = 20;
const files = ['a.png', 'b.png'].map(name => fixturePath(`datasets/${name}`));

function normalised(rgb: Uint8Array): Float32Array {
  const values = new Float32Array(rgb.length);
  normaliseInto(rgb, clipNormalisation, values, 0);
  return values;
}

/** Boxes [20, 5] of an unshuffled grid as the reference hands them to the model: padded fractions and a flag. */
function boxTemplate(image: DecodedImage, choice: GridChoice): Float32Array {
  const pixels = fractionsToPixels(gridCells(choice), image.width, image.height).subarray(0, maxBoxes * 4);
  const { scale } = fitLongestSide(image.width, image.height, imageSize);
  const boxes = pixelsToPaddedFractions(pixels, scale, imageSize);
  const template = new Float32Array(maxBoxes * 5);
  for (let box = 0; box < boxes.length / 4; box++) {
    template.set([...boxes.subarray(box * 4, box * 4 + 4), 1], box * 5);
  }
  return template;
}

describe('grid patches equal the published data set', () => {
  it('draws from the same choices', () => {
    const expected = readManifest<{ grid_choices: [number, number][] }>('datasets').grid_choices;
    assert.deepEqual(
      gridChoices(6).map(({ rows, columns }) => [rows, columns]),
      expected,
    );
  });

  for (const key of [...golden.keys()].filter(name => name.endsWith('/boxes'))) {
    const name = key.slice(0, -'/boxes'.length);
    const [, index, rows, columns, factor] = /^img(\d)_(\d)x(\d)_scale(.+)$/.exec(name)!.map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ];
    it(name, async () => {
      const image = await decodeImage(files[index]!);
      assert.deepEqual(
        normalised(studentImage(image, imageSize)),
        goldenFloats(golden, `${name}/image`).data,
      );
      assert.deepEqual(boxTemplate(image, { rows, columns }), goldenFloats(golden, key).data);

      const crops = goldenFloats(golden, `${name}/crops`);
      const pixels = fractionsToPixels(gridCells({ rows, columns }), image.width, image.height);
      for (let box = 0; box < crops.shape[0]!; box++) {
        const cell = [...pixels.subarray(box * 4, box * 4 + 4)] as [number, number, number, number];
        const crop = cropImage(image, enlargeBox(cell, factor, image.width, image.height));
        const length = 3 * cropSize * cropSize;
        const expected = crops.data.slice(box * length, (box + 1) * length);
        assert.deepEqual(normalised(teacherImage(crop, cropSize)), expected, `crop ${box}`);
      }
    });
  }

  it('gives the boxes of the end-to-end run', async () => {
    const choices: GridChoice[] = [
      { rows: 2, columns: 3 },
      { rows: 3, columns: 2 },
    ];
    const images = await Promise.all(files.map(decodeImage));
    const templates = images.flatMap((image, index) => [...boxTemplate(image, choices[index]!)]);
    const expected = goldenFloats(readGolden('datasets/e2e.safetensors'), 'grid/boxes').data;
    assert.deepEqual(Float32Array.from(templates), expected);
  });
});
