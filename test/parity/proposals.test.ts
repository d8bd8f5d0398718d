import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { pixelsToPaddedFractions } from '../../trainer/dense/roiPooling.ts';
import {
  chosenProposals,
  fallbackRegion,
  type ProposalBox,
  type ProposedRegion,
} from '../../trainer/distill/proposals.ts';
import { resizeBilinear } from '../../trainer/images/bilinear.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import { cropImage, fitLongestSide, teacherImage } from '../../trainer/images/geometry.ts';
import { clipNormalisation, normaliseInto } from '../../trainer/images/normalise.ts';
import { chooseRegions } from '../../trainer/images/regionChoice.ts';
import { packRegions } from '../../trainer/images/regionStore.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { fixturePath, goldenFloats, maxAbsDifference, readGolden } from '../support/goldenTensors.ts';

const [imageSize, cropSize, maxBoxes] = [64, 32, 20] as const;

interface Instances {
  images: { id: number; file_name: string; width: number; height: number }[];
  annotations: { image_id: number; category_id: number; bbox: ProposalBox }[];
  categories: { id: number }[];
}
const instances = JSON.parse(readFileSync(fixturePath('datasets/instances.json'), 'utf8')) as Instances;

const annotationsOf = (id: number) => instances.annotations.filter(({ image_id }) => image_id === id);

/** Corners in pixels as the reference hands them to the model, with `extra` columns behind. */
function template(
  boxes: readonly (readonly number[])[],
  image: { width: number; height: number },
  rows: number,
  extra: (box: number) => number[],
): Float32Array {
  const { scale } = fitLongestSide(image.width, image.height, imageSize);
  const columns = 4 + extra(0).length;
  const result = new Float32Array(rows * columns);
  boxes.forEach((box, index) => {
    result.set(
      [...pixelsToPaddedFractions(Float32Array.from(box), scale, imageSize), ...extra(index)],
      index * columns,
    );
  });
  return result;
}

describe('region proposals equal the published data set', () => {
  const golden = readGolden('datasets/proposals.safetensors');

  instances.images.forEach((image, index) => {
    it(`boxes and crops of ${image.file_name}, ${annotationsOf(image.id).length} proposals`, async () => {
      const proposals = annotationsOf(image.id).map(({ bbox }) => bbox);
      const order = [...proposals.keys()];
      const chosen = chosenProposals(order, proposals, 1.5, image.width, image.height);
      const regions: ProposedRegion[] =
        chosen.length > 0 ? chosen : [fallbackRegion(image.width, image.height)];
      assert.deepEqual(
        template(
          regions.map(({ box }) => box),
          image,
          maxBoxes,
          () => [1],
        ),
        goldenFloats(golden, `img${index}/boxes`).data,
      );
      const pixels = await decodeImage(fixturePath(`datasets/${image.file_name}`));
      const crops = goldenFloats(golden, `img${index}/crops`);
      const length = 3 * cropSize * cropSize;
      for (let row = 0; row < Math.min(crops.shape[0]!, regions.length); row++) {
        const crop = new Float32Array(length);
        const { crop: box } = regions[row]!;
        normaliseInto(teacherImage(cropImage(pixels, box), cropSize), clipNormalisation, crop, 0);
        assert.deepEqual(crop, crops.data.slice(row * length, (row + 1) * length), `crop ${row}`);
      }
    });
  });

  it('labelled regions keep their order, their labels and every size', () => {
    const boxes = readGolden('datasets/regionclip_boxes.safetensors');
    const positions = new Map(instances.categories.map(({ id }, position) => [id, position]));
    const regions = packRegions(instances.images.length, true, () =>
      instances.annotations.map(({ image_id, bbox, category_id }) => ({
        image: instances.images.findIndex(({ id }) => id === image_id),
        box: bbox,
        label: positions.get(category_id)!,
      })),
    );
    instances.images.forEach((image, index) => {
      const rules = { maxSplit: 6, maxBoxes: 5, cropScale: 1.5, regions };
      const random = keyedRandom(0, 'unused');
      const chosen = chooseRegions(rules, random, index, image.width, image.height);
      const actual = template(chosen.boxes, image, 5, box => [chosen.labels[box]!, 1]);
      assert.deepEqual(actual, goldenFloats(boxes, `img${index}/boxes`).data);
    });
  });
});

describe('resizing the student image equals PyTorch', () => {
  const golden = readGolden('ops/ops.safetensors');
  const input = goldenFloats(golden, 'interp/x');
  for (const [height, width] of [
    [7, 7],
    [3, 2],
  ] as const)
    it(`bilinear to ${height} × ${width}`, () => {
      const expected = goldenFloats(golden, `interp/bilinear${height}x${width}`).data;
      const difference = maxAbsDifference(resizeBilinear(input.data, 4, 4, height, width), expected);
      assert.ok(difference <= 1e-6, `differs by ${difference}`);
    });
});
