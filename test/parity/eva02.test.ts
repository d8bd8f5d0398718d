import assert from 'node:assert/strict';
import { type DeviceTensor, disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import type { Eva02Architecture } from '../../trainer/models/architecture.ts';
import { rotaryTables } from '../../trainer/models/rotaryPositions.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { goldenArchitecture, uploadGoldenWeights } from '../support/goldenModel.ts';
import { goldenFloats, maxAbsDifference, readGolden } from '../support/goldenTensors.ts';

const model = 'eva02';

async function evaArchitecture(): Promise<Eva02Architecture> {
  const architecture = await goldenArchitecture(model);
  assert.ok(architecture.kind === 'eva02');
  return architecture;
}

describe('EVA-02', () => {
  const golden = readGolden(`${model}/forward.safetensors`);
  const image = goldenFloats(golden, 'native/image');
  const engine = new OnnxRuntimeCpuEngine(1);
  const programs = new ProgramCache(engine);
  let architecture: Eva02Architecture;
  let weights: Map<string, DeviceTensor>;
  let interpolations: PositionInterpolations;
  let tower: VisionTower;

  before(async () => {
    architecture = await evaArchitecture();
    weights = await uploadGoldenWeights(engine, model);
    interpolations = new PositionInterpolations(engine, architecture);
    tower = new VisionTower(architecture, weights, programs, interpolations);
  });
  after(async () => {
    interpolations.dispose();
    disposeAll(weights.values());
    await programs.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  async function read(
    look: (pixels: DeviceTensor) => Promise<DeviceTensor>,
    { shape, data }: { shape: readonly number[]; data: Float32Array } = image,
  ): Promise<Float32Array> {
    const pixels = engine.upload(shape, data);
    try {
      const result = await look(pixels);
      const values = await readFloats(engine, result);
      result.dispose();
      return values;
    } finally {
      pixels.dispose();
    }
  }

  for (const [prefix, side] of [
    ['native', 4],
    ['res48x48', 6],
    ['res64x64', 8],
  ] as const)
    it(`computes the rotary tables anew: ${prefix}`, () => {
      const tables = rotaryTables(architecture, side);
      const pairs = architecture.width / architecture.heads / 2;
      // The published tables hold each number twice, for both channels of a pair.
      const patches = ({ data }: { data: Float32Array }): Float32Array =>
        Float32Array.from({ length: 2 * (data.length - pairs) }, (_, index) => data[pairs + (index >> 1)]!);
      const { rotaryCosine, rotarySine } = tables;
      assert.ok(
        maxAbsDifference(patches(rotaryCosine), goldenFloats(golden, `${prefix}/rope_cos`).data) <= 1e-6,
      );
      assert.ok(
        maxAbsDifference(patches(rotarySine), goldenFloats(golden, `${prefix}/rope_sin`).data) <= 1e-6,
      );
      assert.ok(rotaryCosine.data.subarray(0, pairs).every(value => value === 1));
      assert.ok(rotarySine.data.subarray(0, pairs).every(value => value === 0));
    });

  it('refuses grids that are not square, also those whose area is a square', async () => {
    for (const [height, width] of [
      [16, 64],
      [32, 40],
    ] as const) {
      const data = new Float32Array(3 * height * width);
      const shape = [1, 3, height, width];
      await assert.rejects(
        read(pixels => tower.encodeDense(pixels), { shape, data }),
        /EVA-02 takes square images only; pad them/,
      );
    }
  });

  it('leaves out the pixels beyond the last whole patch', async () => {
    const [batch, channels, height, width] = image.shape as [number, number, number, number];
    const shape = [batch, channels, height + 3, width + 5];
    const data = new Float32Array(shape.reduce((a, b) => a * b)).fill(7);
    for (let plane = 0; plane < batch * channels; plane++)
      for (let row = 0; row < height; row++)
        data.set(
          image.data.subarray((plane * height + row) * width, (plane * height + row + 1) * width),
          (plane * (height + 3) + row) * (width + 5),
        );
    const expected = await read(pixels => tower.encodeDense(pixels));
    assert.deepEqual(await read(pixels => tower.encodeDense(pixels), { shape, data }), expected);
  });

  it('reads tokens out whose class token is that of encode_image', async () => {
    const { layers, width } = architecture;
    const tokens = await read(pixels => tower.tokens(pixels, layers));
    const trace = goldenFloats(golden, `native/trace/block${layers - 1}`).data;
    assert.equal(tokens.length, trace.length);
    assert.ok(maxAbsDifference(tokens, trace) <= 3e-5);
    assert.equal(tokens.length % width, 0);
  });

  it('has self-attention read-outs of its own', async () => {
    const readOuts = ['value', 'tokens', 'queryQuery', 'keyKey', 'valueValue'] as const;
    const maps: Float32Array[] = [];
    for (const readOut of readOuts) maps.push(await read(pixels => tower.encodeDense(pixels, { readOut })));
    for (const [index, map] of maps.entries())
      for (const other of maps.slice(index + 1)) assert.ok(maxAbsDifference(map, other) > 1e-3);
  });

  it('key–key attention is attention whose queries are projected as keys', async () => {
    const attention = `visual.blocks.${architecture.layers - 1}.attn.`;
    const changed = new Map(weights);
    const zeros = engine.upload([architecture.width], new Float32Array(architecture.width));
    changed.set(`${attention}q_proj.weight`, weights.get(`${attention}k_proj.weight`)!);
    changed.set(`${attention}q_bias`, zeros);
    const other = new VisionTower(architecture, changed, programs, interpolations);
    const expected = await read(pixels => other.encodeDense(pixels, { readOut: 'tokens' }));
    zeros.dispose();
    const actual = await read(pixels => tower.encodeDense(pixels, { readOut: 'keyKey' }));
    assert.ok(maxAbsDifference(actual, expected) <= 1e-6);
  });

  it('gives attention weights whose rows sum to 1', async () => {
    const tokens = 17;
    const values = await read(pixels => tower.attention(pixels, 2));
    assert.equal(values.length, image.shape[0]! * architecture.heads * tokens * tokens);
    for (let row = 0; row < values.length; row += tokens) {
      const sum = values.subarray(row, row + tokens).reduce((total, value) => total + value, 0);
      assert.ok(Math.abs(sum - 1) <= 1e-5, `row ${row / tokens} sums to ${sum}`);
    }
  });

  it('has no mask attention', async () => {
    const visible = engine.upload([1, 17], new Uint8Array(17));
    await assert.rejects(
      read(pixels => tower.encodeMasked(pixels, visible)),
      /EVA-02 .* has no mask attention/,
    );
    visible.dispose();
  });
});
