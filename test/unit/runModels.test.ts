import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import { readSafetensors, writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { featuresCommand } from '../../trainer/commands/features.ts';
import { openReference } from '../../trainer/commands/openTower.ts';
import { regionsCommand } from '../../trainer/commands/regions.ts';
import { dotOfRows } from '../../trainer/dense/dotProducts.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import { findModel, resolveReference } from '../../trainer/inspect/modelReference.ts';
import type { InspectBox } from '../../trainer/inspect/protocol.ts';
import { fixturePath } from '../support/goldenTensors.ts';
import {
  endInspectServices,
  type InspectClient,
  modelAt,
  refusal,
  startInspectService,
} from '../support/inspectClient.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  tinyCommand,
  tinyTensors,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('a run that started from weights in several files', function () {
  this.timeout(60_000);
  const boxes: InspectBox[] = [
    [0, 0, 20, 20],
    [10, 5, 40, 30],
  ];
  let folder: TemporaryFolder;
  let run: string;
  let model: string;
  let image: string;
  let service: InspectClient;

  /** The tiny model with its tensors in two files and an index. */
  async function writeShardedModel(): Promise<void> {
    await writeTinyModel(model);
    await rm(`${model}/open_clip_model.safetensors`);
    const tensors = tinyTensors();
    const names = [...tensors.keys()];
    const half = names.length >> 1;
    const shards = { 'a.safetensors': names.slice(0, half), 'b.safetensors': names.slice(half) };
    const map: Record<string, string> = {};
    for (const [file, held] of Object.entries(shards)) {
      await writeSafetensors(`${model}/${file}`, new Map(held.map(name => [name, tensors.get(name)!])));
      for (const name of held) map[name] = file;
    }
    await writeJson(`${model}/model.safetensors.index.json`, { weight_map: map });
  }

  before(async () => {
    await buildTrainer();
    folder = await temporaryFolder();
    [model, run] = [folder.file('model'), folder.file('run')];
    image = folder.file('images/image-00.png');
    await writeShardedModel();
    await writeTinyImages(folder.file('images'), 4);
    const settings = '--epochs 1 --checkpoint-every 1 --keep-checkpoints 10 --hold-out 0';
    const args = [...tinyCommand(model, folder.file('images'), run), ...settings.split(' ')];
    const { status, stderr } = await runTrainer(args);
    assert.equal(status, 0, stderr);
    service = startInspectService(folder.file('cache'));
  });
  after(async () => {
    await service.close();
    endInspectServices();
    await folder.remove();
  });

  async function denseOf(name: string, ...options: string[]): Promise<Float32Array> {
    const out = folder.file(name);
    const common = ['--image', image, '--size', '64', '--threads', '1', '--json', '--out', out];
    const log = console.log;
    console.log = () => undefined;
    try {
      await featuresCommand([...common, ...options]);
    } finally {
      console.log = log;
    }
    return (await readSafetensors(out)).tensors.get('dense')!.data as Float32Array;
  }

  it('gives the features of a checkpoint, of its student and of its source', async () => {
    const step = await denseOf('step.safetensors', '--model', run, '--step', '1');
    const student = await denseOf('student.safetensors', '--model', run);
    const source = await denseOf('source.safetensors', '--model', model);
    assert.equal(new Set([step, student, source].map(values => values.join())).size, 3);
    const tower = await openReference(modelAt(run, 1), 'auto', 1);
    const { features } = await tower.features.dense(await decodeImage(image), 64);
    await tower.dispose();
    assert.deepEqual(step, features);
    const reference = { model: modelAt(run, 1), image, size: 64, readOut: 'value', layer: null } as const;
    assert.deepEqual((await service.request('features', reference)).rows, 8);
  });

  it('reads weights for their hash only where somebody wants to know them again', async () => {
    const asked: string[] = [];
    const hashes = {
      of: async (file: string): Promise<string> => {
        asked.push(path.basename(file));
        return '';
      },
    };
    const found = await findModel(modelAt(model), hashes);
    assert.equal(
      (await findModel(modelAt(run), hashes)).files.architecture.width,
      found.files.architecture.width,
    );
    assert.deepEqual(asked, []);
    const { hash } = await resolveReference(modelAt(model), hashes);
    assert.deepEqual(asked, ['a.safetensors', 'b.safetensors']);
    assert.equal(await found.identify(), hash);
  });

  it('refuses a checkpoint when one of the files has changed', async () => {
    const file = `${model}/b.safetensors`;
    const { tensors } = await readSafetensors(file);
    await writeSafetensors(file, new Map([...tensors, ['more', tensors.get('logit_scale')!]]));
    await assert.rejects(
      denseOf('never.safetensors', '--model', run, '--step', '1'),
      /no longer the model that the run/,
    );
    await writeSafetensors(file, tensors);
  });

  it('gives regions by mask attention in the service as on the command line', async () => {
    const params = { model: modelAt(model), teacher: null, image, size: 64, boxes };
    const { cosines } = await service.request('regions', { ...params, readOut: 'maskAttention' });
    const pooled = await service.request('regions', params);
    const keys = await service.request('regions', { ...params, readOut: 'keyKey', layer: 1 });
    assert.notDeepEqual(cosines, pooled.cosines);
    assert.notDeepEqual(keys.cosines, pooled.cosines);
    const [boxesFile, out] = [folder.file('boxes.json'), folder.file('roi.safetensors')];
    await writeFile(boxesFile, JSON.stringify(boxes));
    const common = ['--model', model, '--image', image, '--size', '64', '--threads', '1'];
    const log = console.log;
    console.log = () => undefined;
    try {
      await regionsCommand([
        ...common,
        ...['--boxes', boxesFile, '--out', out, '--read-out', 'maskAttention'],
      ]);
    } finally {
      console.log = log;
    }
    const { tensors } = await readSafetensors(out);
    const [roi, crop] = [tensors.get('roi')!, tensors.get('crop')!].map(
      ({ data }) => data as Float32Array,
    ) as [Float32Array, Float32Array];
    cosines.forEach((cosine, box) => {
      assert.ok(Math.abs(cosine - dotOfRows(roi, box * 16, crop, box * 16, 16)) < 1e-6);
    });
    const early = await refusal(
      service.request('regions', { ...params, readOut: 'maskAttention', layer: 1 }),
    );
    assert.equal(early.name, 'readOutUnsupported');
    const eva = { ...params, model: modelAt(path.resolve(fixturePath('eva02'))) };
    const none = await refusal(service.request('regions', { ...eva, readOut: 'maskAttention' }));
    assert.equal(none.name, 'readOutUnsupported');
    assert.match(none.message, /no mask attention: it is defined for CLIP ViTs/);
  });
});
