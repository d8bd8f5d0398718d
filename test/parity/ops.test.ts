import assert from 'node:assert/strict';
import { maskPoolingRows } from '../../trainer/dense/maskPooling.ts';
import { fractionsToCells, type GridSize, roiAlignRows } from '../../trainer/dense/roiPooling.ts';
import { type InterpolationKernel, interpolationMatrix } from '../../trainer/models/positionInterpolation.ts';
import {
  type GoldenTensor,
  goldenBytes,
  goldenFloats,
  maxAbsDifference,
  readGolden,
} from '../support/goldenTensors.ts';

const golden = readGolden('ops/ops.safetensors');

/** Feature map of one image as [channels][cells]. */
function channelsOf(map: GoldenTensor<Float32Array>, image: number): Float32Array[] {
  const [, channels, height, width] = map.shape as [number, number, number, number];
  const cells = height * width;
  return Array.from({ length: channels }, (_, channel) => {
    const start = (image * channels + channel) * cells;
    return map.data.subarray(start, start + cells);
  });
}

/** matrix [rows, columns] · vector [columns] in double precision. */
function multiply(matrix: Float32Array, vector: Float32Array): number[] {
  const columns = vector.length;
  return Array.from({ length: matrix.length / columns }, (_, row) =>
    vector.reduce((sum, value, column) => sum + matrix[row * columns + column]! * value, 0),
  );
}

function mapSize(map: GoldenTensor<Float32Array>): GridSize {
  return { height: map.shape[2]!, width: map.shape[3]! };
}

describe('RoIAlign as a matrix equals torchvision', () => {
  // Three times the reference's own rounding error (manifest), at least 1e-6.
  const bounds: Record<string, number> = { '1x1': 1e-6, '2x3': 3e-6, '7x7': 4e-6 };

  for (const name of ['sq', 'rect', 'one']) {
    const map = goldenFloats(golden, `roi/${name}/x`);
    const rois = goldenFloats(golden, `roi/${name}/rois`);
    const count = rois.shape[0]!;
    const roi = (index: number) => rois.data.slice(index * 5 + 1, index * 5 + 5);

    for (const [outputName, bound] of Object.entries(bounds)) {
      it(`${name} pooled to ${outputName}`, () => {
        const [height, width] = outputName.split('x').map(Number) as [number, number];
        const actual = Array.from({ length: count }, (_, index) => {
          const rows = roiAlignRows(roi(index), mapSize(map), { height, width });
          return channelsOf(map, rois.data[index * 5]!).flatMap(channel => multiply(rows, channel));
        }).flat();
        const expected = goldenFloats(golden, `roi/${name}/out${outputName}`).data;
        assert.ok(maxAbsDifference(actual, expected) <= bound);
      });
    }

    it(`${name}: the gradient is the transposed matrix`, () => {
      const upstream = goldenFloats(golden, `roi/${name}/gout1x1`);
      const expected = goldenFloats(golden, `roi/${name}/gin1x1`);
      const channels = upstream.shape[1]!;
      const cells = map.shape[2]! * map.shape[3]!;
      const gradient = new Float64Array(expected.data.length);
      for (let index = 0; index < count; index++) {
        const row = roiAlignRows(roi(index), mapSize(map));
        for (let channel = 0; channel < channels; channel++) {
          const start = (rois.data[index * 5]! * channels + channel) * cells;
          const seed = upstream.data[index * channels + channel]!;
          for (let cell = 0; cell < cells; cell++) gradient[start + cell]! += row[cell]! * seed;
        }
      }
      assert.ok(maxAbsDifference(gradient, expected.data) <= 1e-6);
    });
  }
});

describe('position interpolation as a matrix equals PyTorch', () => {
  const input = goldenFloats(golden, 'interp/x');
  const kernels: Record<string, InterpolationKernel> = {
    bicubic: 'bicubic',
    bicubic_aa: 'bicubic-antialias',
    bilinear: 'bilinear',
  };
  for (const key of [...golden.keys()].filter(name => name.startsWith('interp/b'))) {
    it(key.slice('interp/'.length), () => {
      const [, kernel, height, width] = /(\D+)(\d+)x(\d+)$/.exec(key.slice('interp/'.length))!;
      const matrix = interpolationMatrix(
        mapSize(input),
        { height: Number(height), width: Number(width) },
        kernels[kernel!],
      );
      const actual = channelsOf(input, 0).flatMap(channel => multiply(matrix, channel));
      assert.ok(maxAbsDifference(actual, goldenFloats(golden, key).data) <= 1e-6);
    });
  }
});

describe('pooling and positions inside the published model', () => {
  const forward = readGolden('openai_vit/forward.safetensors');
  const maps: Record<string, GridSize> = {
    native: { height: 4, width: 4 },
    res48x48: { height: 6, width: 6 },
    res32x56: { height: 4, width: 7 },
  };

  for (const [name, map] of Object.entries(maps)) {
    it(`${name}: RoI pooling`, () => {
      const dense = goldenFloats(forward, `${name}/dense`);
      const pooled = [0, 1].flatMap(image => {
        const boxes = fractionsToCells(goldenFloats(forward, `boxes/${image}`).data, map);
        const rows = roiAlignRows(boxes, map);
        const channels = channelsOf(dense, image).map(channel => multiply(rows, channel));
        return Array.from({ length: boxes.length / 4 }, (_, box) => channels.map(values => values[box]!));
      });
      assert.ok(maxAbsDifference(pooled.flat(), goldenFloats(forward, `${name}/roi_v2`).data) <= 1e-6);
    });

    it(`${name}: mask pooling`, () => {
      const dense = goldenFloats(forward, `${name}/dense`);
      const cells = map.height * map.width;
      const pooled = [0, 1].flatMap(image => {
        const rows = maskPoolingRows(goldenBytes(forward, `${name}/masks/${image}`).data, cells);
        const channels = channelsOf(dense, image).map(channel => multiply(rows, channel));
        return Array.from({ length: rows.length / cells }, (_, mask) =>
          channels.map(values => values[mask]!),
        );
      });
      assert.ok(maxAbsDifference(pooled.flat(), goldenFloats(forward, `${name}/mask_pool`).data) <= 1e-6);
    });

    if (name === 'native') continue;
    it(`${name}: resized position embedding`, () => {
      const width = 64;
      const weights = readGolden('openai_vit/weights.safetensors');
      const embedding = goldenFloats(weights, 'visual.positional_embedding').data.subarray(width);
      const expected = goldenFloats(forward, `${name}/pos_embed`).data.subarray(width);
      const matrix = interpolationMatrix(maps.native!, map);
      for (let channel = 0; channel < width; channel++) {
        const ofChannel = (_: number, index: number) => index % width === channel;
        const actual = multiply(matrix, embedding.filter(ofChannel));
        assert.ok(maxAbsDifference(actual, expected.filter(ofChannel)) <= 2e-6);
      }
    });
  }
});
