/** Input sizes that are no multiple of the patch size: 60 px with patches of 8 pixels, of which seven a side are seen. */

import assert from 'node:assert/strict';
import sharp from 'sharp';
import { clipNormalisation } from '../../trainer/checkpoints/openClipConfiguration.ts';
import { ImageFeatures } from '../../trainer/dense/imageFeatures.ts';
import { Distiller } from '../../trainer/distill/distiller.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { type DeviceTensor, disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { buildBatch } from '../../trainer/images/batch.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import { type PixelBox, studentImage } from '../../trainer/images/geometry.ts';
import { normaliseInto } from '../../trainer/images/normalise.ts';
import type { Raster } from '../../trainer/images/raster.ts';
import { unsuitableSize } from '../../trainer/models/architecture.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { maxAbsDifference } from '../support/goldenTensors.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { tinyArchitecture, tinyTensors } from '../support/trainingFixture.ts';

const [size, seen, cells, channels] = [60, 56, 7, tinyArchitecture.embeddingDimension];

/** The upper left `seen` pixels of planes [n, size, size]. */
function cutPlanes(planes: Float32Array): Float32Array {
  const count = planes.length / (size * size);
  const cut = new Float32Array(count * seen * seen);
  for (let plane = 0; plane < count; plane++)
    for (let row = 0; row < seen; row++) {
      const start = (plane * size + row) * size;
      cut.set(planes.subarray(start, start + seen), (plane * seen + row) * seen);
    }
  return cut;
}

/** RoIAlign of one box (1 × 1, aligned, as many samples as cells) by its definition, in double precision. */
function roiAlign(map: Float32Array, [x0, y0, x1, y1]: PixelBox): number[] {
  const [left, top, wide, high] = [x0 - 0.5, y0 - 0.5, x1 - x0, y1 - y0];
  const [across, down] = [Math.ceil(wide), Math.ceil(high)];
  const pooled = new Array<number>(channels).fill(0);
  for (let row = 0; row < down; row++)
    for (let column = 0; column < across; column++) {
      const x = Math.max(left + ((column + 0.5) * wide) / across, 0);
      const y = Math.max(top + ((row + 0.5) * high) / down, 0);
      for (const [cellY, shareY] of neighbours(y))
        for (const [cellX, shareX] of neighbours(x))
          for (let channel = 0; channel < channels; channel++)
            pooled[channel]! +=
              (shareY * shareX * map[(cellY * cells + cellX) * channels + channel]!) / (across * down);
    }
  return pooled;
}

/** The two cells around a position with their shares; positions beyond the last cell belong to it. */
function neighbours(position: number): [cell: number, share: number][] {
  const low = Math.min(Math.floor(position), cells - 1);
  if (low === cells - 1) return [[low, 1]];
  return [
    [low, 1 - (position - low)],
    [low + 1, position - low],
  ];
}

const unit = (values: readonly number[]): number[] => {
  const norm = Math.hypot(...values);
  return values.map(value => value / norm);
};

describe('sizes that are no multiple of the patch size', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  const programs = new ProgramCache(engine);
  const weights = new Map<string, DeviceTensor>();
  let folder: TemporaryFolder;
  let interpolations: PositionInterpolations;
  let tower: VisionTower;
  let features: ImageFeatures;
  let image: Raster;

  before(async () => {
    folder = await temporaryFolder();
    const square = { width: 30, height: 30, channels: 3, background: '#d02020' } as const;
    await sharp({ create: { width: 80, height: 60, channels: 3, background: '#2040c0' } })
      .composite([{ input: { create: square }, left: 40, top: 20 }])
      .png()
      .toFile(folder.file('image.png'));
    image = await decodeImage(folder.file('image.png'));
    for (const [name, { shape, data }] of tinyTensors())
      if (name.startsWith('visual.') && data instanceof Float32Array)
        weights.set(name, engine.upload(shape, data));
    interpolations = new PositionInterpolations(engine, tinyArchitecture);
    tower = new VisionTower(tinyArchitecture, weights, programs, interpolations);
    features = new ImageFeatures(engine, tower, clipNormalisation);
  });
  after(async () => {
    interpolations.dispose();
    disposeAll(weights.values());
    await programs.dispose();
    await engine.dispose();
    await folder.remove();
  });

  function studentPixels(): Float32Array {
    const student = studentImage(image, size);
    const interleaved = new Float32Array(3 * size * size);
    normaliseInto(student, clipNormalisation, interleaved, 0);
    return interleaved;
  }

  it('gives the features of the whole patches, resized and padded as for the whole size', async () => {
    const dense = await features.dense(image, size);
    const cut = engine.upload([1, 3, seen, seen], cutPlanes(studentPixels()));
    const encoded = await tower.encodeDense(cut);
    const raw = await readFloats(engine, encoded);
    disposeAll([cut, encoded]);
    assert.equal(dense.side, cells);
    assert.equal(dense.features.length, cells * cells * channels);
    for (let cell = 0; cell < cells * cells; cell++) {
      const own = [...raw.subarray(cell * channels, (cell + 1) * channels)];
      const found = dense.features.subarray(cell * channels, (cell + 1) * channels);
      assert.ok(maxAbsDifference(found, unit(own)) <= 1e-6, `cell ${cell}`);
    }
  });

  it('counts the rows and columns that hold image, without the patch that is cut', async () => {
    // 80 × 60 becomes 60 × 45: 7.5 columns and 5.6 rows of patches.
    assert.deepEqual(features.validGrid(image, size), { rows: 6, columns: 7 });
    assert.deepEqual(features.validGrid({ ...image, width: 60, height: 80 }, size), { rows: 7, columns: 6 });
  });

  it('pools boxes as fractions of the padded image times the cells of the map', async () => {
    const boxes: PixelBox[] = [
      [0, 0, 30, 20],
      [41, 22, 80, 60],
      [0, 0, 80, 60],
    ];
    const dense = await features.dense(image, size);
    const pooled = features.pool(dense, image, size, boxes);
    boxes.forEach((box, index) => {
      const fractions = box.map(value => (value * (size / 80)) / size);
      const inCells = fractions.map(value => value * cells) as unknown as PixelBox;
      const expected = unit(roiAlign(dense.features, inCells));
      const found = pooled.subarray(index * channels, (index + 1) * channels);
      assert.ok(maxAbsDifference(found, expected) <= 1e-5, `box ${index}`);
    });
  });

  it('reads mask attention and tokens on the same grid', async () => {
    assert.equal(
      (await features.tokens(image, size, 2)).length,
      (1 + cells * cells) * tinyArchitecture.width,
    );
    const whole = await features.maskAttention(image, size, [[0, 0, 80, 60]]);
    assert.ok(Math.abs(Math.hypot(...whole) - 1) < 1e-5);
  });

  it('trains as on the image without what is left over, boxes unchanged', async () => {
    const request = { seed: 0, epoch: 0, files: [folder.file('image.png')], positions: [0] };
    const { patchSize, imageSize } = tinyArchitecture;
    const settings = { size, cropSize: imageSize, patchSize, maxSplit: 3, maxBoxes: 4, cropScale: 1 };
    const batch = await buildBatch({ ...request, ...settings, normalisation: clipNormalisation });
    assert.equal(batch.pooling.length, 4 * cells * cells);
    const results = [];
    for (const [side, images] of [
      [size, batch.images],
      [seen, cutPlanes(batch.images)],
    ] as const) {
      const own = new Map<string, DeviceTensor>();
      for (const [name, tensor] of weights)
        own.set(name, engine.upload(tensor.shape, await readFloats(engine, tensor)));
      const trainable = trainableNames(tinyArchitecture, own.keys(), 12);
      const distiller = await Distiller.create(engine, tinyArchitecture, own, trainable, {
        ...{ size: side, cropSize: imageSize, maxBoxes: 4, activationBudget: 0 },
        optimiser: { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.1 },
      });
      results.push(await distiller.step({ ...batch, images, size: side }, 1, 1e-3));
      await distiller.dispose();
    }
    const [odd, even] = results as [(typeof results)[0], (typeof results)[0]];
    assert.ok(odd.gradNorm > 0);
    assert.ok(Math.abs(odd.loss - even.loss) <= 1e-6 && Math.abs(odd.gradNorm - even.gradNorm) <= 1e-6);
  });

  it('takes any size from one patch on; multiples of the stride for a ResNet', () => {
    assert.equal(unsuitableSize(1024, { kind: 'openai', patchSize: 14 }), null);
    assert.equal(unsuitableSize(14, { kind: 'eva02', patchSize: 14 }), null);
    assert.deepEqual(unsuitableSize(13, { kind: 'openclip', patchSize: 14 })?.nearest, 14);
    assert.deepEqual(unsuitableSize(100, { kind: 'resnet', patchSize: 32 })?.nearest, 96);
    assert.equal(unsuitableSize(96, { kind: 'resnet', patchSize: 32 }), null);
  });
});
