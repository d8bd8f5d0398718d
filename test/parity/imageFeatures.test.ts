import assert from 'node:assert/strict';
import { ImageFeatures, normaliseRows } from '../../trainer/dense/imageFeatures.ts';
import { type DeviceTensor, disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import type { PixelBox } from '../../trainer/images/geometry.ts';
import { clipNormalisation } from '../../trainer/images/normalise.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { goldenArchitecture, uploadGoldenWeights } from '../support/goldenModel.ts';
import {
  fixturePath,
  goldenFloats,
  maxAbsDifference,
  readGolden,
  readManifest,
} from '../support/goldenTensors.ts';

describe('features of an image file', () => {
  const size = 64;
  const engine = new OnnxRuntimeCpuEngine(1);
  const programs = new ProgramCache(engine);
  const golden = readGolden('preprocess/transforms.safetensors');
  let weights: Map<string, DeviceTensor>;
  let interpolations: PositionInterpolations;
  let tower: VisionTower;
  let features: ImageFeatures;

  before(async () => {
    const architecture = await goldenArchitecture('openclip_vit');
    weights = await uploadGoldenWeights(engine, 'openclip_vit');
    interpolations = new PositionInterpolations(engine, architecture);
    tower = new VisionTower(architecture, weights, programs, interpolations);
    features = new ImageFeatures(engine, tower, clipNormalisation);
  });
  after(async () => {
    interpolations.dispose();
    disposeAll(weights.values());
    await programs.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  /** What the tower makes of an image tensor of the published preprocessing. */
  async function encode(tensor: string, how: 'encodeDense' | 'encodeImage'): Promise<Float32Array> {
    const { shape, data } = goldenFloats(golden, tensor);
    const pixels = engine.upload([1, ...shape], data);
    const encoded = await tower[how](pixels);
    const values = await readFloats(engine, encoded);
    disposeAll([pixels, encoded]);
    return values;
  }

  for (const name of ['a', 'b', 'gray', 'rgba'])
    it(`sees ${name}.png as the published transforms do`, async () => {
      const image = await decodeImage(fixturePath(`preprocess/${name}.png`));
      const dense = await features.dense(image, size);
      assert.equal(maxAbsDifference(dense.features, await encode(`${name}/student64/f32`, 'encodeDense')), 0);
      const patches = (side: number): number =>
        Math.ceil(Math.round((side * size) / Math.max(image.width, image.height)) / 8);
      assert.deepEqual(dense.valid, { rows: patches(image.height), columns: patches(image.width) });
      const whole = await features.crops(image, [[0, 0, image.width, image.height]]);
      const expected = normaliseRows(await encode(`${name}/teacher_full32/f32`, 'encodeImage'), whole.length);
      assert.ok(maxAbsDifference(whole, expected) <= 1e-6);
    });

  it('embeds crops of boxes as the published transforms cut them', async () => {
    const image = await decodeImage(fixturePath('preprocess/a.png'));
    const boxes = readManifest<{ crop_boxes_xyxy: PixelBox[] }>('preprocess').crop_boxes_xyxy;
    const embedded = await features.crops(image, boxes);
    const width = features.embeddingDimension;
    for (const index of boxes.keys()) {
      const expected = normaliseRows(await encode(`a/crop${index}/f32`, 'encodeImage'), width);
      const actual = embedded.subarray(index * width, (index + 1) * width);
      assert.ok(maxAbsDifference(actual, expected) <= 1e-6, `crop ${index}`);
    }
  });

  it('pools the whole image to the mean of the cells that hold it', async () => {
    const image = await decodeImage(fixturePath('preprocess/a.png'));
    const dense = await features.dense(image, size);
    // 97 pixels across are all 8 columns; 32 pixels down are the first 4 of 8 rows: 97 × 48.5 pixels of the file.
    const pooled = features.pool(dense, image, size, [[0, 0, 97, 48.5]]);
    const width = features.embeddingDimension;
    const mean = new Float32Array(width);
    for (let cell = 0; cell < 4 * 8; cell++)
      for (let channel = 0; channel < width; channel++)
        mean[channel]! += dense.features[cell * width + channel]! / 32;
    assert.ok(maxAbsDifference(pooled, normaliseRows(mean, width)) <= 1e-5);
  });
});
