import assert from 'node:assert/strict';
import { readSafetensorsHeader } from '../../trainer/checkpoints/safetensors.ts';
import { type DeviceTensor, disposeAll } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { locateTextTower } from '../../trainer/models/textArchitecture.ts';
import type { TextModel } from '../../trainer/models/textStages.ts';
import { TextTower } from '../../trainer/models/textTower.ts';
import { normaliseRows } from '../../trainer/text/classEmbeddings.ts';
import { meanDirections } from '../../trainer/text/ensemble.ts';
import {
  assertAgrees,
  goldenArchitecture,
  type ModelManifest,
  modelManifest,
  uploadGoldenWeights,
} from '../support/goldenModel.ts';
import {
  fixturePath,
  goldenBytes,
  goldenFloats,
  maxAbsDifference,
  readGolden,
  readManifest,
} from '../support/goldenTensors.ts';

/** Where each model's text tower and its golden embeddings lie. */
const models = [
  { name: 'openai_vit', weights: 'weights.safetensors', forward: 'forward.safetensors' },
  { name: 'openclip_vit', weights: 'weights.safetensors', forward: 'forward.safetensors' },
  { name: 'eva02', weights: 'weights.safetensors', forward: 'forward.safetensors' },
  { name: 'resnet', weights: 'text.safetensors', forward: 'text.safetensors' },
];

describe('text tower', () => {
  const engine = new OnnxRuntimeCpuEngine(1);

  after(async () => {
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  for (const { name, weights, forward } of models)
    describe(`of ${name}`, () => {
      const programs = new ProgramCache(engine);
      const manifest: ModelManifest = modelManifest(name);
      let parameters: Map<string, DeviceTensor>;
      let tower: TextTower;
      let tokens: Int32Array[];
      const golden = readGolden(`${name}/${forward}`);

      before(async () => {
        const architecture = await goldenArchitecture(name);
        const file = fixturePath(`${name}/${weights}`);
        const { tensors } = await readSafetensorsHeader(file);
        const location = locateTextTower({ file, tensors }, architecture);
        assert.equal(location.prefix, name === 'eva02' ? 'text.' : '');
        parameters = await uploadGoldenWeights(engine, name, weights);
        tower = new TextTower(engine, { ...architecture, ...location }, parameters, programs);
        const { shape, data } = golden.get('text/tokens')!;
        const length = shape[1]!;
        tokens = Array.from({ length: shape[0]! }, (_, row) =>
          Int32Array.from(data.subarray(row * length, (row + 1) * length), Number),
        );
      });
      after(async () => {
        disposeAll(parameters.values());
        await programs.dispose();
      });

      it('embeds texts as the published code', async () => {
        const embeddings = await tower.embed(tokens);
        const expected = goldenFloats(golden, 'text/encode_text');
        assertAgrees(manifest, 'forward.safetensors', 'text/encode_text', embeddings, expected);
        normaliseRows(embeddings, expected.shape[1]!);
        const directions = goldenFloats(golden, 'text/encode_text_norm');
        assertAgrees(manifest, 'forward.safetensors', 'text/encode_text_norm', embeddings, directions);
      });

      it('embeds each text alone as in company', async () => {
        const together = await tower.embed(tokens);
        const { embeddingDimension } = tower.model;
        for (const [row, ids] of tokens.entries()) {
          const alone = await tower.embed([ids]);
          const part = together.subarray(row * embeddingDimension, (row + 1) * embeddingDimension);
          assert.ok(maxAbsDifference(alone, part) < 2e-6);
        }
      });

      it('refuses ids that it does not know', async () => {
        const foreign = tokens[0]!.slice();
        foreign[1] = 96;
        await assert.rejects(tower.embed([foreign]), /knows 96 tokens; got the id 96/);
        await assert.rejects(tower.embed([new Int32Array(3)]), /3 tokens .* takes 12/);
      });

      it('stops between batches', async () => {
        const stop = new AbortController();
        const many = Array.from({ length: 3 }, () => tokens).flat();
        const work = tower.embed(Array.from({ length: 5 }, () => many).flat(), {
          signal: stop.signal,
          onProgress: () => stop.abort(),
        });
        await assert.rejects(work, { name: 'AbortError' });
      });
    });

  it('averages prompts as the published code', async () => {
    const golden = readGolden('text/ensemble.safetensors');
    const { config } = readManifest<{
      config: { embed_dim: number; text_cfg: { width: number; heads: number; layers: number } };
    }>('text');
    const { shape, data: ids } = goldenBytes(golden, 'tokens');
    const [classes, prompts, length] = shape as [number, number, number];
    const { width, heads, layers } = config.text_cfg;
    const vocabularySize = golden.get('vocabulary')!.shape[0]!;
    const sizes = { contextLength: 77, vocabularySize, width, heads, layers, mlpWidth: 4 * width };
    const model: TextModel = {
      architecture: { kind: 'clip', ...sizes, endOfText: null },
      prefix: '',
      activation: 'quickGelu',
      embeddingDimension: config.embed_dim,
    };
    const parameters = new Map<string, DeviceTensor>();
    for (const name of golden.keys()) {
      if (!name.startsWith('weights/')) continue;
      const tensor = goldenFloats(golden, name);
      parameters.set(name.slice('weights/'.length), engine.upload(tensor.shape, tensor.data));
    }
    const texts = Array.from({ length: classes * prompts }, (_, row) => {
      const text = new Int32Array(77);
      text.set(ids.subarray(row * length, (row + 1) * length));
      return text;
    });
    const programs = new ProgramCache(engine);
    const embeddings = await new TextTower(engine, model, parameters, programs).embed(texts);
    disposeAll(parameters.values());
    await programs.dispose();
    const counts = Array.from({ length: classes }, () => prompts);
    const directions = meanDirections(embeddings, counts, config.embed_dim);
    // The manifest states no rounding error of the reference here: the floor counts.
    const difference = maxAbsDifference(directions, goldenFloats(golden, 'embeddings').data);
    assert.ok(difference <= 1e-6, `differs by ${difference}`);
  });
});
