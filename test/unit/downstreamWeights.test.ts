import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readCheckpoint } from '../../trainer/checkpoints/checkpoint.ts';
import { resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import { exportCommand } from '../../trainer/commands/export.ts';
import { loadTower } from '../../trainer/dense/loadTower.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { uploadVisionParameters } from '../../trainer/training/modelParameters.ts';
import { fixturePath, maxAbsDifference } from '../support/goldenTensors.ts';
import { findPeerPython, runPython } from '../support/peerPython.ts';
import { printed } from '../support/printed.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { buildTrainer, runTrainer, writeTinyImages } from '../support/trainingFixture.ts';

const program = fileURLToPath(new URL('../support/downstreamPeer.py', import.meta.url));
const run = promisify(execFile);

/** Widths of 64 a head, as OpenAI's programs take for granted. */
const openAiConfiguration = {
  model_cfg: {
    embed_dim: 32,
    quick_gelu: true,
    vision_cfg: { image_size: 32, layers: 2, width: 128, head_width: 64, patch_size: 8 },
    text_cfg: { context_length: 12, vocab_size: 96, width: 64, heads: 1, layers: 1 },
  },
};

describe('exported weights in the published code', function () {
  // Loading PyTorch takes seconds.
  this.timeout(180_000);
  let folder: TemporaryFolder;
  let python: string;

  before(async function () {
    const found = await findPeerPython();
    if (found === null) skipBecause(this, 'no Python with PyTorch (set CLIPSELF_PEER_PYTHON)');
    const missing = await runPython(found, 'import open_clip, timm', []).then(
      () => false,
      () => true,
    );
    if (missing) skipBecause(this, `${found} has no open_clip_torch and timm (pip install them)`);
    python = found;
    await buildTrainer();
    folder = await temporaryFolder();
    await writeTinyImages(folder.file('images'), 2);
  });

  after(() => folder?.remove());

  /** A model folder of a fixture's weights. */
  async function fixtureModel(name: string): Promise<string> {
    const model = folder.file(name);
    await mkdir(model);
    await copyFile(fixturePath(`${name}/weights.safetensors`), path.join(model, 'weights.safetensors'));
    const configuration = 'open_clip_config.json';
    await copyFile(fixturePath(`${name}/${configuration}`), path.join(model, configuration));
    return model;
  }

  /** A model folder that OpenCLIP itself wrote. */
  async function openAiModel(): Promise<string> {
    const model = folder.file('openai');
    await mkdir(model);
    const configuration = path.join(model, 'open_clip_config.json');
    await writeFile(configuration, JSON.stringify(openAiConfiguration));
    await run(python, [program, 'make', path.join(model, 'weights.pt'), configuration]);
    return model;
  }

  /** Two steps that visibly change the weights; the student. */
  async function train(model: string): Promise<string> {
    const out = `${model}-run`;
    const settings = '--size 32 --max-split 2 --max-boxes 4 --batch 1 --lr 1e-3 --warmup 1 --threads 1';
    const command = ['--model', model, '--images', folder.file('images'), '--out', out];
    const ended = await runTrainer([...command, ...settings.split(' '), '--epochs', '1', '--hold-out', '0']);
    assert.equal(ended.status, 0, ended.stderr);
    const student = path.join(out, 'student.safetensors');
    const [before, after] = await Promise.all(
      [model, student].map(async file => (await readCheckpoint(file)).tensors),
    );
    assert.deepEqual([...after!.keys()].sort(), [...before!.keys()].sort());
    const changed = [...before!].filter(([name, { shape, dtype, data }]) => {
      const trained = after!.get(name)!;
      assert.deepEqual([trained.shape, trained.dtype], [shape, dtype], name);
      return (
        dtype === 'float32' && maxAbsDifference(trained.data as Float32Array, data as Float32Array) > 1e-5
      );
    });
    assert.ok(changed.length > 10, `${changed.length} tensors changed`);
    return student;
  }

  /** Dense features [tokens, D] of random pixels at the model's own size, and these pixels. */
  async function ours(file: string): Promise<{ pixels: Float32Array; features: Float32Array }> {
    const model = await resolveModel(file, null);
    const { imageSize } = model.architecture;
    const random = keyedRandom(9, 'pixels');
    const pixels = Float32Array.from({ length: 3 * imageSize ** 2 }, () => 4 * random.float() - 2);
    const engine = new OnnxRuntimeCpuEngine(1);
    try {
      const tower = await loadTower(model, engine, await uploadVisionParameters(engine, model.weightsFile));
      try {
        return { pixels, features: await tower.features.denseOfPixels(pixels, imageSize) };
      } finally {
        await tower.dispose();
      }
    } finally {
      await engine.dispose();
    }
  }

  for (const [kind, format, make] of [
    ['openclip', 'openclip', () => fixtureModel('openclip_vit')],
    ['openclip', 'safetensors', () => fixtureModel('openai_vit')],
    ['openai', 'openai', openAiModel],
    ['eva', 'openclip', () => fixtureModel('eva02')],
  ] as const)
    it(`load strictly and give the same dense features: ${kind}, --format ${format}`, async () => {
      const model = await make();
      const student = await train(model);
      const exported = `${model}.${format === 'safetensors' ? 'safetensors' : 'pt'}`;
      const write = (...args: string[]) => printed(() => exportCommand(['--model', student, ...args]));
      // OpenAI's programs round most weights to float16 as they load: here all of them are, before both compute.
      const isRounded = format === 'openai';
      await write('--format', format, '--out', exported, ...(isRounded ? ['--half'] : []));
      const rounded = `${model}-half.safetensors`;
      if (isRounded) await write('--format', 'safetensors', '--out', rounded, '--half');
      const { pixels, features } = await ours(isRounded ? rounded : student);
      const [input, output] = [`${model}.pixels`, `${model}.features`];
      await writeFile(input, pixels);
      const configuration = path.join(model, 'open_clip_config.json');
      await run(python, [program, 'read', kind, exported, configuration, input, output]);

      const numbers = new Float64Array(new Uint8Array(await readFile(output)).buffer);
      const [single, double] = [numbers.slice(0, features.length), numbers.slice(features.length)];
      assert.equal(double.length, features.length);
      // The rule of the golden numbers: four times the distance of the reference's float32 from its float64.
      const tolerance = Math.max(1e-6, 4 * maxAbsDifference(Float64Array.from(single), double));
      assert.ok(tolerance < 1e-5, `the reference itself is off by ${tolerance / 4}`);
      const difference = maxAbsDifference(features, double);
      assert.ok(difference <= tolerance, `${difference} > ${tolerance}`);
      // It would notice other weights.
      const { features: untrained } = await ours(model);
      assert.ok(maxAbsDifference(untrained, double) > 1e-4);
    });
});
