import assert from 'node:assert/strict';
import { type DeviceTensor, disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import type { VisionArchitecture } from '../../trainer/models/architecture.ts';
import type { Parameters } from '../../trainer/models/stageFeeds.ts';
import type { DenseOptions, DenseReadOut } from '../../trainer/models/visionStages.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import {
  assertAgrees,
  goldenArchitecture,
  modelManifest,
  uploadGoldenWeights,
} from '../support/goldenModel.ts';
import { goldenFloats, maxAbsDifference, readGolden } from '../support/goldenTensors.ts';

const model = 'openai_vit';

describe('read-outs of the image tower', () => {
  const golden = readGolden(`${model}/forward.safetensors`);
  const image = goldenFloats(golden, 'native/image');
  const engine = new OnnxRuntimeCpuEngine(1);
  const programs = new ProgramCache(engine);
  let architecture: VisionArchitecture;
  let weights: Map<string, DeviceTensor>;
  let interpolations: PositionInterpolations;

  before(async () => {
    architecture = await goldenArchitecture(model);
    weights = await uploadGoldenWeights(engine, model);
    interpolations = new PositionInterpolations(engine, architecture);
  });
  after(async () => {
    interpolations.dispose();
    disposeAll(weights.values());
    await programs.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  const towerOf = (parameters: Parameters): VisionTower =>
    new VisionTower(architecture, parameters, programs, interpolations);

  async function read(look: (pixels: DeviceTensor) => Promise<DeviceTensor>): Promise<Float32Array> {
    const pixels = engine.upload(image.shape, image.data);
    try {
      const result = await look(pixels);
      const values = await readFloats(engine, result);
      result.dispose();
      return values;
    } finally {
      pixels.dispose();
    }
  }

  const dense = (parameters: Parameters, options: DenseOptions): Promise<Float32Array> =>
    read(pixels => towerOf(parameters).encodeDense(pixels, options));

  it('gives the tokens after every block as the published code traces them', async () => {
    const manifest = modelManifest(model);
    for (let layer = 1; layer <= architecture.layers; layer++) {
      const actual = await read(pixels => towerOf(weights).tokens(pixels, layer));
      const tensor = `native/trace/block${layer - 1}`;
      const { shape, data } = goldenFloats(golden, tensor);
      const [tokens, batch, width] = shape as [number, number, number];
      const expected = new Float32Array(data.length);
      for (let token = 0; token < tokens; token++)
        for (let index = 0; index < batch; index++)
          for (let channel = 0; channel < width; channel++)
            expected[(index * tokens + token) * width + channel] =
              data[(token * batch + index) * width + channel]!;
      assertAgrees(manifest, 'forward.safetensors', tensor, actual, { data: expected });
    }
  });

  /** Weights whose last block projects queries and keys with the rows of another projection (0 q, 1 k, 2 v). */
  async function withProjections(query: number, key: number): Promise<Parameters> {
    const changed = new Map(weights);
    const block = `visual.transformer.resblocks.${architecture.layers - 1}.attn.`;
    for (const name of [`${block}in_proj_weight`, `${block}in_proj_bias`]) {
      const { shape } = weights.get(name)!;
      const data = await readFloats(engine, weights.get(name)!);
      const part = data.length / 3;
      const rows = [query, key, 2].map(index => data.slice(index * part, (index + 1) * part));
      const packed = new Float32Array(data.length);
      for (const [index, row] of rows.entries()) packed.set(row, index * part);
      changed.set(name, engine.upload(shape, packed));
    }
    return changed;
  }

  const cases: [DenseReadOut, number][] = [
    ['queryQuery', 0],
    ['keyKey', 1],
    ['valueValue', 2],
  ];
  for (const [readOut, projection] of cases)
    it(`${readOut} is attention whose queries and keys come from one projection`, async () => {
      const changed = await withProjections(projection, projection);
      const expected = await dense(changed, { readOut: 'tokens' });
      for (const [name, tensor] of changed) if (tensor !== weights.get(name)) tensor.dispose();
      const actual = await dense(weights, { readOut });
      assert.ok(maxAbsDifference(actual, expected) <= 1e-6);
      assert.ok(maxAbsDifference(actual, await dense(weights, { readOut: 'tokens' })) > 1e-3);
    });

  it('reads an earlier block out as if it were the last', async () => {
    const shorter = { ...architecture, layers: 2 };
    const expected = await read(pixels =>
      new VisionTower(shorter, weights, programs, interpolations).encodeDense(pixels),
    );
    assert.equal(maxAbsDifference(await dense(weights, { layer: 2 }), expected), 0);
    await assert.rejects(dense(weights, { layer: 0 }), /layers 1 to 4; got 0/);
    await assert.rejects(dense(weights, { layer: 5 }), /layers 1 to 4; got 5/);
  });

  it('leaves out the pixels beyond the last whole patch, as the convolution does', async () => {
    const [batch, channels, height, width] = image.shape as [number, number, number, number];
    const shape = [batch, channels, height + 7, width + 3];
    const data = new Float32Array(shape.reduce((product, length) => product * length)).fill(5);
    for (let plane = 0; plane < batch * channels; plane++)
      for (let row = 0; row < height; row++) {
        const start = (plane * height + row) * width;
        data.set(image.data.subarray(start, start + width), (plane * (height + 7) + row) * (width + 3));
      }
    for (const how of ['encodeDense', 'encodeImage'] as const) {
      const pixels = engine.upload(shape, data);
      const cropped = await towerOf(weights)[how](pixels);
      const expected = await read(whole => towerOf(weights)[how](whole));
      assert.deepEqual(await readFloats(engine, cropped), expected);
      disposeAll([pixels, cropped]);
    }
    const small = engine.upload([1, 3, 7, 64], new Float32Array(3 * 7 * 64));
    await assert.rejects(async () => towerOf(weights).encodeImage(small), /at least one patch \(8 px\)/);
    small.dispose();
  });

  it('gives attention weights whose rows sum to 1', async () => {
    const tokens = 1 + (architecture.imageSize / architecture.patchSize) ** 2;
    const values = await read(pixels => towerOf(weights).attention(pixels, 3));
    assert.equal(values.length, image.shape[0]! * architecture.heads * tokens * tokens);
    for (let row = 0; row < values.length; row += tokens) {
      const sum = values.subarray(row, row + tokens).reduce((total, value) => total + value, 0);
      assert.ok(Math.abs(sum - 1) <= 1e-5, `row ${row / tokens} sums to ${sum}`);
    }
  });

  it('gives the attention of all layers in one pass', async () => {
    const pixels = engine.upload(image.shape, image.data);
    const layers: Float32Array[] = [];
    await towerOf(weights).attentionByLayer(pixels, architecture.layers, async attention => {
      layers.push(await readFloats(engine, attention));
    });
    pixels.dispose();
    assert.equal(layers.length, architecture.layers);
    for (const [index, values] of layers.entries()) {
      const alone = await read(pixels => towerOf(weights).attention(pixels, index + 1));
      assert.equal(maxAbsDifference(values, alone), 0, `layer ${index + 1}`);
    }
  });
});
