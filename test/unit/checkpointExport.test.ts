import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { readCheckpoint } from '../../trainer/checkpoints/checkpoint.ts';
import { resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import { readSafetensors, writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { exportCommand } from '../../trainer/commands/export.ts';
import { assertAgrees, channelsFirst, modelManifest } from '../support/goldenModel.ts';
import { fixturePath, goldenFloats, readGolden } from '../support/goldenTensors.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

/** Runs the command; what it printed. */
async function runExport(...args: string[]): Promise<string[]> {
  const printed: string[] = [];
  const { log } = console;
  console.log = (line: string) => void printed.push(line);
  try {
    await exportCommand(args);
  } finally {
    console.log = log;
  }
  return printed;
}

/** Runs an exported model on each image of a golden batch `[B, 3, S, S]`; the results one after the other. */
async function runModel(
  file: string,
  output: string,
  { shape, data }: { shape: number[]; data: Float32Array },
): Promise<Float32Array> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1 });
  try {
    assert.deepEqual([session.inputNames, session.outputNames], [['pixels'], [output]]);
    const [batch, ...image] = shape as [number, number, number, number];
    const each = data.length / batch;
    const results: number[] = [];
    for (let index = 0; index < batch; index++) {
      const pixels = new Tensor('float32', data.slice(index * each, (index + 1) * each), [1, ...image]);
      const result = (await session.run({ pixels }))[output]!;
      results.push(...(result.data as Float32Array));
    }
    return Float32Array.from(results);
  } finally {
    await session.release();
  }
}

describe('exported models', () => {
  let folder: TemporaryFolder;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(() => folder.remove());

  it('are rounded to float16 when asked for half precision, and load again', async () => {
    const source = fixturePath('openclip_vit');
    const out = folder.file('half.safetensors');
    await runExport('--model', source, '--format', 'safetensors', '--half', '--out', out);
    const [model, original] = [await resolveModel(out, null), await resolveModel(source, null)];
    assert.deepEqual(model.architecture, original.architecture);
    const whole = (await readCheckpoint(original.weightsFile)).tensors;
    const half = (await readSafetensors(out)).tensors;
    const widened = (await readSafetensors(out, { asFloat32: true })).tensors;
    assert.equal(half.size, whole.size);
    for (const [name, { data }] of whole) {
      assert.equal(half.get(name)!.dtype, 'float16');
      const rounded = widened.get(name)!.data as Float32Array;
      (data as Float32Array).forEach((value, index) => {
        assert.ok(Math.abs(rounded[index]! - value) <= 2 ** -11 * Math.abs(value) + 2 ** -25, name);
      });
    }
    assert.ok((await stat(out)).size < 0.55 * (await stat(original.weightsFile)).size);
    await assert.rejects(
      runExport('--model', source, '--format', 'onnx', '--half', '--out', folder.file('x.onnx')),
      /--half, --strip and --prefix belong to the formats of weights/,
    );
  });

  for (const name of ['openai_vit', 'openclip_vit', 'eva02'])
    it(`compute in ONNX what the published code computes: ${name}`, async () => {
      const golden = readGolden(`${name}/forward.safetensors`);
      const manifest = modelManifest(name);
      const out = folder.file('tower.onnx');
      const common = ['--model', fixturePath(name), '--format', 'onnx', '--out', out];
      const agrees = (tensor: string, actual: Float32Array): void =>
        assertAgrees(manifest, 'forward.safetensors', tensor, actual, goldenFloats(golden, tensor));

      assert.deepEqual(await runExport(...common), [`${out}\n${out}.data`]);
      agrees('native/encode_image', await runModel(out, 'embedding', goldenFloats(golden, 'native/image')));

      for (const prefix of ['native', 'res48x48'].filter(prefix => golden.has(`${prefix}/image`))) {
        const image = goldenFloats(golden, `${prefix}/image`);
        const dense = goldenFloats(golden, `${prefix}/dense`);
        const [batch, channels, rows, columns] = dense.shape as [number, number, number, number];
        await runExport(...common, '--graph', 'dense', '--size', String(image.shape[2]));
        const actual = await runModel(out, 'features', image);
        agrees(`${prefix}/dense`, channelsFirst(actual, batch, rows * columns, channels));
      }
      // The numbers lie beside the model.
      assert.ok((await stat(out)).size < (await stat(`${out}.data`)).size);
    });

  it('carry their configuration as .safetensors, whatever they came from', async () => {
    const out = folder.file('model.safetensors');
    const source = fixturePath('checkpoints/vit_torchscript.pt');
    const arch = fixturePath('openai_vit/open_clip_config.json');
    const printed = await runExport(
      ...['--model', source, '--arch', arch, '--format', 'safetensors', '--out', out, '--json'],
    );
    assert.deepEqual(JSON.parse(printed.join('')), { format: 'safetensors', files: [out] });
    const expected = await resolveModel(fixturePath('openai_vit'));
    const model = await resolveModel(out);
    assert.deepEqual(model.architecture, expected.architecture);
    const { tensors } = await readSafetensors(out);
    const { tensors: original } = await readSafetensors(fixturePath('openai_vit/weights.safetensors'));
    for (const [name, tensor] of original) assert.deepEqual(tensors.get(name)!.data, tensor.data, name);
  });

  it("have OpenCLIP's names as a PyTorch file", async () => {
    const { tensors } = await readSafetensors(fixturePath('openai_vit/weights.safetensors'));
    const out = folder.file('model.pt');
    await runExport('--model', fixturePath('openai_vit'), '--format', 'openclip', '--out', out);
    const read = (await readCheckpoint(out)).tensors;
    assert.deepEqual([...read.keys()].sort(), [...tensors.keys()].sort());
    for (const [name, tensor] of tensors) assert.deepEqual(read.get(name)!.data, tensor.data, name);
    const model = await resolveModel(out, fixturePath('openai_vit/open_clip_config.json'));
    assert.equal(model.architecture.layers, 4);
  });

  it('take other names: one tower alone, behind a prefix', async () => {
    const out = folder.file('tower.pt');
    const asked = ['--model', fixturePath('openclip_vit'), '--out', out, '--format'];
    await runExport(...asked, 'state-dict', '--strip', 'visual.', '--prefix', 'backbone.visual.', '--half');
    const { tensors: source } = await readSafetensors(fixturePath('openclip_vit/weights.safetensors'));
    const { tensors } = await readCheckpoint(out);
    const expected = [...source.keys()].filter(name => name.startsWith('visual.'));
    assert.ok(expected.length > 10 && expected.length < source.size);
    assert.deepEqual([...tensors.keys()].sort(), expected.map(name => `backbone.${name}`).sort());
    for (const { dtype } of tensors.values()) assert.equal(dtype, 'float16');
    await assert.rejects(
      runExport(...asked, 'openclip', '--strip', 'trunk.'),
      /--strip trunk\.: no tensor has a name that starts so; the first is '/,
    );
  });

  it("are refused as OpenAI's when its programs would compute something else", async () => {
    for (const [name, reason] of [
      ['eva02', /an EVA-02 tower has another structure\. Use --format openclip/],
      ['openclip_vit', /the exact GELU/],
      ['openai_vit', /it has 2 heads for a width of 64, OpenAI's has one for every 64/],
    ] as const)
      await assert.rejects(
        runExport('--model', fixturePath(name), '--format', 'openai', '--out', folder.file('x.pt')),
        reason,
      );
  });

  it('are asked for in clear terms', async () => {
    const model = fixturePath('openai_vit');
    const out = folder.file('x');
    await assert.rejects(runExport('--model', model), /export needs --model, --format and --out/);
    const asked = ['--model', model, '--out', out, '--format'];
    await assert.rejects(
      runExport(...asked, 'caffe'),
      /--format must be safetensors, openclip, state-dict, openai, onnx; got caffe/,
    );
    await assert.rejects(runExport(...asked, 'openclip', '--size', '32'), /belong to --format onnx/);
    await assert.rejects(
      runExport(...asked, 'onnx', '--graph', 'text'),
      /--graph must be image, dense; got text/,
    );
    const resnet = ['--model', fixturePath('resnet'), '--out', out, '--format', 'onnx', '--size', '33'];
    await assert.rejects(runExport(...resnet), /--size must be a multiple of 32 for a ResNet; got 33 \(32/);
    await assert.rejects(runExport(...asked, 'onnx', '--size', 'big'), /size/);
    await assert.rejects(
      runExport('--model', model, '--out', folder.file('none/x.pt'), '--format', 'openclip'),
      /cannot write: no such file or folder/,
    );
  });

  it('do not hide a tensor that is missing', async () => {
    const { tensors } = await readSafetensors(fixturePath('openai_vit/weights.safetensors'));
    tensors.delete('visual.proj');
    const file = folder.file('cut.safetensors');
    await writeSafetensors(file, tensors);
    const args = ['--arch', fixturePath('openai_vit/open_clip_config.json'), '--format', 'onnx'];
    await assert.rejects(runExport('--model', file, ...args, '--out', folder.file('x.onnx')), /visual\.proj/);
  });
});
