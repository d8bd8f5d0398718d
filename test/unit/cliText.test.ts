import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import { resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import {
  clipNormalisation,
  toOpenClipConfiguration,
} from '../../trainer/checkpoints/openClipConfiguration.ts';
import { readSafetensors, writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { textCommand } from '../../trainer/commands/text.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { sizeOf } from '../../trainer/graph/shape.ts';
import { textTensorShapes } from '../../trainer/models/tensorShapes.ts';
import { NoTextTowerError, type TextArchitecture } from '../../trainer/models/textArchitecture.ts';
import { readClassEmbeddings } from '../../trainer/text/classEmbeddings.ts';
import { type EmbeddingCache, embedClasses } from '../../trainer/text/embedClasses.ts';
import { findTextSource, PromptEncoder } from '../../trainer/text/promptEncoder.ts';
import { defaultPrompts, plainPrompts, promptsFor } from '../../trainer/text/prompts.ts';
import { SettingError } from '../../trainer/training/settings.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { fixturePath, maxAbsDifference } from '../support/goldenTensors.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  tinyArchitecture,
  tinyTensors,
  trainerProgram,
  writeTinyModel,
} from '../support/trainingFixture.ts';

const demo = fileURLToPath(new URL('../../media/demo/model', import.meta.url));
const names = ['person', 'boat', 'bird', 'cat', 'sky', 'grass', 'sea'];

describe('words of a model', function () {
  this.timeout(30_000);
  const engine = new OnnxRuntimeCpuEngine(1);
  const earlierCache = process.env.CLIPSELF_CACHE;
  let folder: TemporaryFolder;

  before(async () => {
    folder = await temporaryFolder();
    process.env.CLIPSELF_CACHE = folder.file('cache');
  });
  after(async () => {
    if (earlierCache === undefined) delete process.env.CLIPSELF_CACHE;
    else process.env.CLIPSELF_CACHE = earlierCache;
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
    await folder.remove();
  });

  const sourceOf = async (model: string) => findTextSource(await resolveModel(model));
  const text = (...args: string[]) =>
    printed(() => textCommand(['--model', demo, '--threads', '1', ...args]));

  it('are not read while the activation of the text tower is open', async () => {
    const files = await resolveModel(demo);
    await assert.rejects(
      findTextSource({ ...files, activationKnown: false }),
      /which activation .* Pass --arch/,
    );
  });

  /** Each text in a forward pass of its own. */
  async function embeddedAlone(texts: readonly string[]): Promise<Float32Array[]> {
    const encoder = await PromptEncoder.open(engine, await sourceOf(demo));
    const rows: Float32Array[] = [];
    for (const prompt of texts) rows.push(await encoder.embed([prompt]));
    await encoder.dispose();
    return rows;
  }

  describe('clipself text --prompt', () => {
    it('writes token ids and embeddings of unit norm', async () => {
      const out = folder.file('prompts.safetensors');
      const prompts = ['a photo of a cat', 'The sea.', 'a photo of a cat'];
      const line = await text(...prompts.flatMap(prompt => ['--prompt', prompt]), '--out', out, '--json');
      assert.deepEqual(JSON.parse(line), { out, prompts: 3, contextLength: 16, dimension: 128 });
      const { tensors } = await readSafetensors(out);
      const [tokens, embeddings] = [tensors.get('tokens')!, tensors.get('text')!];
      assert.deepEqual([tokens.dtype, tokens.shape, embeddings.shape], ['int64', [3, 16], [3, 128]]);
      const ids = tokens.data as BigInt64Array;
      assert.deepEqual([ids[0], ids[16], ids[4 + 2]], [660n, 660n, 661n]);
      assert.deepEqual(ids.subarray(0, 16), ids.subarray(32));
      const data = embeddings.data as Float32Array;
      for (const [row, alone] of (await embeddedAlone(prompts)).entries()) {
        const own = data.subarray(row * 128, (row + 1) * 128);
        assert.ok(Math.abs(Math.hypot(...own) - 1) < 1e-6);
        assert.ok(maxAbsDifference(own, alone) < 1e-6);
      }
      assert.ok(maxAbsDifference(data.subarray(0, 128), data.subarray(128, 256)) > 0.01);
    });

    it('says what is missing or makes no sense', async () => {
      const out = folder.file('x.safetensors');
      for (const args of [
        ['--out', out],
        ['--prompt', 'a', '--classes', 'b', '--out', out],
        ['--prompt', 'a', '--prompts', 'b', '--out', out],
        ['--prompt', 'a', '--out', folder.file('x.npy')],
        ['--classes', 'a', '--out', out],
        ['--prompt', 'a'],
      ])
        await assert.rejects(text(...args), UsageError);
      await assert.rejects(text('--prompt', 'a', '--out', out, '--threads', 'many'), SettingError);
      await assert.rejects(text('--prompt', 'a', '--out', out, '--step', '3'), /no run directory/);
    });
  });

  it("has CLIP's whole vocabulary in the program that is shipped", async () => {
    await buildTrainer();
    const tensors = tinyTensors();
    const sizes = { contextLength: 77, vocabularySize: 49408, width: 8, heads: 2, layers: 1, mlpWidth: 32 };
    const text: TextArchitecture = { kind: 'clip', ...sizes, endOfText: null };
    const shapes = textTensorShapes(text, tinyArchitecture.embeddingDimension);
    for (const [name, shape] of shapes)
      tensors.set(name, { shape, dtype: 'float32', data: new Float32Array(sizeOf(shape)).fill(0.5) });
    const model = folder.file('vocabulary');
    await writeTinyModel(model, tensors);
    const architecture = { ...tinyArchitecture, text };
    const configuration = toOpenClipConfiguration({ architecture, normalisation: clipNormalisation });
    await writeJson(`${model}/open_clip_config.json`, configuration);
    const golden = JSON.parse(await readFile(fixturePath('text/tokenizer.json'), 'utf8')) as {
      text: string;
      ids: number[];
    }[];
    const prompts = golden.flatMap(({ text: prompt }) => [`--prompt=${prompt}`]);
    const out = folder.file('vocabulary.safetensors');
    await promisify(execFile)(process.execPath, [
      trainerProgram,
      'text',
      '--model',
      model,
      ...prompts,
      '--out',
      out,
    ]);
    const ids = (await readSafetensors(out)).tensors.get('tokens')!.data as BigInt64Array;
    assert.deepEqual(
      Array.from(ids, Number),
      golden.flatMap(({ ids: expected }) => expected),
    );
  });

  describe('clipself text --classes', () => {
    const classes = fixturePath('datasets/panoptic.json');

    it('writes the mean direction of the prompts of each class', async () => {
      const out = folder.file('classes.npy');
      const line = await text('--classes', classes, '--out', out, '--json');
      const prompts = defaultPrompts.templates.length;
      assert.deepEqual(JSON.parse(line), { out, classes: 7, dimension: 128, prompts });
      const { data } = await readClassEmbeddings(out, names, 128);
      const alone = await embeddedAlone(promptsFor('cat', defaultPrompts));
      const mean = Float64Array.from({ length: 128 }, (_, channel) =>
        alone.reduce((sum, row) => sum + row[channel]! / alone.length, 0),
      );
      const norm = Math.hypot(...mean);
      const expected = mean.map(value => value / norm);
      assert.ok(maxAbsDifference(data.subarray(3 * 128, 4 * 128), expected) < 1e-6);
      assert.equal((await readdir(folder.file('cache/text'))).length, 2);
    });

    it('takes prompts from a file and need not remember', async () => {
      await writeFile(folder.file('p.txt'), '{}\n');
      await writeFile(folder.file('names.txt'), 'cat\nsea\n');
      const out = folder.file('plain.npy');
      await rm(folder.file('cache'), { recursive: true, force: true });
      const args = ['--classes', folder.file('names.txt'), '--prompts', folder.file('p.txt'), '--out', out];
      assert.match(await text(...args, '--no-cache'), /^2 classes of 128 channels from 1 prompt each/);
      await assert.rejects(readdir(folder.file('cache')));
      const { data } = await readClassEmbeddings(out, ['cat', 'sea'], 128);
      const [cat, sea] = await embeddedAlone(['cat', 'sea']);
      assert.ok(maxAbsDifference(data, [...cat!, ...sea!]) < 1e-6);
    });
  });

  describe('embedding of classes', () => {
    /** A cache in memory that counts. */
    class Memory implements EmbeddingCache {
      readonly entries = new Map<string, Buffer<ArrayBuffer>>();
      found = 0;
      async get(key: string) {
        const bytes = this.entries.get(key);
        if (bytes) this.found++;
        return bytes ? { bytes } : null;
      }
      async put(key: string, _group: string, bytes: Uint8Array) {
        this.entries.set(key, Buffer.from(bytes));
      }
    }

    it('is remembered by model, names and prompts', async () => {
      const cache = new Memory();
      const source = await sourceOf(demo);
      const embed = (hash: string, words: string[], prompts = plainPrompts) =>
        embedClasses(engine, source, hash, words, prompts, { cache });
      const first = await embed('a', ['cat', 'sea']);
      const again = await embed('a', ['cat', 'sea']);
      assert.equal(cache.found, 1);
      assert.deepEqual(again, first);
      await embed('b', ['cat', 'sea']);
      await embed('a', ['sea', 'cat']);
      await embed('a', ['cat', 'sea'], defaultPrompts);
      assert.deepEqual([cache.found, cache.entries.size], [1, 4]);
    });

    it('computes again what the cache holds damaged, and survives a cache that fails', async () => {
      const source = await sourceOf(demo);
      const cache: EmbeddingCache = {
        get: async () => ({ bytes: Buffer.alloc(3) }),
        put: async () => {
          throw new Error('disk full');
        },
      };
      const { data } = await embedClasses(engine, source, 'a', ['cat'], plainPrompts, { cache });
      const [alone] = await embeddedAlone(['cat']);
      assert.ok(maxAbsDifference(data, alone!) < 1e-6);
    });

    it('goes through many classes in portions, tells how far it is, and stops when asked', async () => {
      const source = await sourceOf(demo);
      const many = Array.from({ length: 150 }, (_, index) => `cat ${index % 10}`);
      const seen: number[] = [];
      const found = await embedClasses(engine, source, 'a', many, defaultPrompts, {
        onProgress: (done, all) => {
          assert.equal(all, 150 * defaultPrompts.templates.length);
          seen.push(done);
        },
      });
      assert.equal(seen.at(-1), 6000);
      assert.deepEqual(
        seen,
        seen.toSorted((a, b) => a - b),
      );
      const row = (index: number) => found.data.subarray(index * 128, (index + 1) * 128);
      assert.ok(maxAbsDifference(row(3), row(143)) < 1e-6);
      const stop = new AbortController();
      const work = embedClasses(engine, source, 'a', many, defaultPrompts, {
        signal: stop.signal,
        onProgress: () => stop.abort(),
      });
      await assert.rejects(work, { name: 'AbortError' });
    });
  });

  describe('of models that cannot give them', () => {
    it('is a condition with a name', async () => {
      await assert.rejects(sourceOf(fixturePath('resnet')), NoTextTowerError);
    });

    it('is an error when tensors are missing or the vocabulary does not belong to them', async () => {
      const model = folder.file('model');
      await cp(demo, model, { recursive: true });
      await rename(`${model}/tokenizer.json`, `${model}/other.json`);
      const out = folder.file('x.safetensors');
      const command = () => printed(() => textCommand(['--model', model, '--prompt', 'a', '--out', out]));
      await assert.rejects(command(), /knows 662 tokens, but CLIP's vocabulary has 49408/);
      const weights = `${model}/open_clip_model.safetensors`;
      const { tensors } = await readSafetensors(weights);
      tensors.delete('ln_final.bias');
      await writeSafetensors(weights, tensors);
      await assert.rejects(command(), (error: unknown) => {
        assert.ok(error instanceof FileError && !(error instanceof NoTextTowerError));
        assert.match(error.message, /lacks the tensor 'ln_final\.bias' of text tower \(16 tokens of 662/);
        return true;
      });
    });

    it("is none when a run's source has the vocabulary", async () => {
      const run = folder.file('run');
      await cp(demo, run, { recursive: true });
      await rm(`${run}/tokenizer.json`);
      const { tokenizerFile } = await findTextSource(await resolveModel(run), demo);
      assert.equal(tokenizerFile, `${demo}/tokenizer.json`);
    });
  });
});
