import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CancellationTokenSource } from 'vscode-jsonrpc/node';
import { writeNpy } from '../../trainer/checkpoints/npyFile.ts';
import { openReference } from '../../trainer/commands/openTower.ts';
import { createEngine } from '../../trainer/engines/createEngine.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import { resolveReference } from '../../trainer/inspect/modelReference.ts';
import type { InspectBox, WordsParams } from '../../trainer/inspect/protocol.ts';
import { findTextSource, PromptEncoder } from '../../trainer/text/promptEncoder.ts';
import { defaultPrompts, promptsFor } from '../../trainer/text/prompts.ts';
import {
  endInspectServices,
  type InspectClient,
  modelAt,
  refusal,
  startInspectService,
} from '../support/inspectClient.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { buildTrainer, trainerProgram, writeTinyImages, writeTinyModel } from '../support/trainingFixture.ts';

const demo = fileURLToPath(new URL('../../media/demo/model', import.meta.url));
const list = ['cat', 'Dining_table', 'sky'];

const floats = (text: string): Float32Array =>
  new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);

function near(found: Float32Array, expected: ArrayLike<number>, error = 1e-6): void {
  assert.equal(found.length, expected.length);
  found.forEach((value, index) => {
    assert.ok(Math.abs(value - expected[index]!) < error, `${index}: ${value} and ${expected[index]}`);
  });
}

describe('inspector service: words', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  let service: InspectClient;
  let encoder: PromptEncoder;
  let end: () => Promise<void>;

  const ask = (changes: Partial<WordsParams> = {}) =>
    service.request('words', {
      ...{ model: modelAt(demo), words: list, prompts: 'ensemble', embeddings: null },
      ...changes,
    });

  before(async () => {
    await buildTrainer();
    folder = await temporaryFolder();
    service = startInspectService(folder.file('cache'));
    const { files } = await resolveReference(modelAt(demo), { of: async () => '' });
    const engine = await createEngine('cpu', 1);
    encoder = await PromptEncoder.open(engine, await findTextSource(files));
    end = async () => {
      await encoder.dispose();
      await engine.dispose();
    };
  });

  after(async () => {
    await end();
    assert.deepEqual(await service.close(), { status: 0, stderr: '' });
    endInspectServices();
    await folder.remove();
  });

  it('gives each word the mean direction of its prompts', async () => {
    const { dimension, data } = await ask();
    assert.equal(dimension, encoder.dimension);
    const found = floats(data);
    for (const [row, word] of list.entries()) {
      const prompts = await encoder.embed(promptsFor(word, defaultPrompts));
      const mean = Array.from({ length: dimension }, (_, channel) => {
        let sum = 0;
        for (let start = channel; start < prompts.length; start += dimension) sum += prompts[start]!;
        return sum;
      });
      const norm = Math.hypot(...mean);
      near(
        found.subarray(row * dimension, (row + 1) * dimension),
        mean.map(value => value / norm),
      );
    }
  });

  it('reads a word as it is typed when asked to', async () => {
    const { dimension, data } = await ask({ prompts: 'plain' });
    const found = floats(data);
    near(found.subarray(dimension, 2 * dimension), await encoder.embed(['dining table']));
    assert.notDeepEqual(data, (await ask()).data);
  });

  it('gives a word the same direction in whatever list it stands', async () => {
    const { dimension, data } = await ask();
    const other = floats((await ask({ words: ['sky', 'grass', 'sky'] })).data);
    assert.deepEqual(other.subarray(0, dimension), floats(data).subarray(2 * dimension));
    assert.deepEqual(other.subarray(2 * dimension), other.subarray(0, dimension));
  });

  it('tells how far it is', async () => {
    const stages = new Set<string>();
    service.onProgress(({ id, stage }) => {
      if (id === 71) stages.add(stage);
    });
    await service.request('words', {
      ...{ model: modelAt(demo), prompts: 'ensemble', embeddings: null, id: 71 },
      words: Array.from({ length: 12 }, (_, index) => `thing ${index}`),
    });
    assert.ok(stages.has('reading words'));
  });

  it('stops when the words are not wanted any more, and keeps those it has read', async () => {
    const cancellation = new CancellationTokenSource();
    const many = Array.from({ length: 1000 }, (_, index) => `word ${index}`);
    const params = { model: modelAt(demo), words: many, prompts: 'ensemble', embeddings: null } as const;
    const fractions: number[] = [];
    service.onProgress(({ id, stage, fraction }) => {
      if (id !== 72 || stage !== 'reading words') return;
      fractions.push(fraction);
      cancellation.cancel();
    });
    const answer = service.request('words', { ...params, id: 72 }, cancellation.token);
    assert.equal((await refusal(answer)).name, 'cancelled');
    // The next request begins when that one has stopped.
    await ask();
    assert.ok(fractions.at(-1)! < 1, 'it went on to the end');
  });

  it('reads the same words for a run, all its steps and the model it started from', async () => {
    await writeTinyImages(folder.file('scenes'), 3);
    const run = folder.file('run');
    const flags = '--size 64 --epochs 1 --batch 1 --hold-out 1 --checkpoint-every 1 --lr 1e-3 --threads 1';
    await promisify(execFile)(process.execPath, [
      ...[trainerProgram, 'train', '--model', demo, '--images', folder.file('scenes'), '--out', run],
      ...flags.split(' '),
    ]);
    const { data } = await ask();
    for (const model of [modelAt(run), modelAt(run, 2)]) assert.equal((await ask({ model })).data, data);
    // Taken out of its run, the student of a model with a vocabulary of its own has to be given that.
    const alone = await refusal(ask({ model: modelAt(`${run}/student.safetensors`) }));
    assert.equal(alone.name, 'modelUnreadable');
    assert.match(alone.message, /Put the tokenizer\.json that belongs to the model beside its weights/);
  });

  it('says of a model without text tower what to do', async () => {
    await writeTinyModel(folder.file('blind'));
    const refused = await refusal(ask({ model: modelAt(folder.file('blind')) }));
    assert.equal(refused.name, 'noTextTower');
    assert.match(refused.message, /no text tower.*Use a whole CLIP model.*\.npy/);
  });

  it('reads embeddings from a file, and refuses those that do not fit', async () => {
    await writeTinyModel(folder.file('blind'));
    const file = folder.file('words.npy');
    const data = Float32Array.from({ length: 3 * 16 }, (_, index) => Math.cos(index));
    await writeNpy(file, { shape: [3, 16], data });
    const own = { model: modelAt(folder.file('blind')), embeddings: file };
    const answer = await ask(own);
    assert.equal(answer.dimension, 16);
    const norm = Math.hypot(...data.subarray(16, 32));
    near(
      floats(answer.data).subarray(16, 32),
      data.subarray(16, 32).map(value => value / norm),
    );
    const refused = await refusal(ask({ ...own, words: ['one', 'two'] }));
    assert.equal(refused.name, 'wordsUnreadable');
    assert.match(refused.message, /holds 3 rows for 2 classes/);
    assert.equal((await refusal(ask({ embeddings: file }))).name, 'wordsUnreadable');
  });

  it('refuses what is no list of words', async () => {
    for (const words of [[], [''], ['x'.repeat(501)], Array.from({ length: 1001 }, String)])
      assert.equal((await refusal(ask({ words }))).name, 'badRequest');
  });

  it('gives the features of regions and of their crops with the comparison', async () => {
    await writeTinyImages(folder.file('images'), 1);
    const image = folder.file('images/image-00.png');
    const boxes: InspectBox[] = [
      [0, 0, 20, 20],
      [10, 5, 40, 30],
    ];
    const params = { model: modelAt(demo), teacher: null, image, size: 64, boxes };
    const { dense, crops, dimension, cosines } = await service.request('regions', params);
    const tower = await openReference(modelAt(demo), 'cpu', 1);
    try {
      const raster = await decodeImage(image);
      near(floats(crops), await tower.features.crops(raster, boxes), 1e-5);
      const map = await tower.features.dense(raster, 64);
      // The service pools what it keeps, which is float16.
      near(floats(dense), tower.features.pool(map, raster, 64, boxes), 2e-3);
    } finally {
      await tower.dispose();
    }
    const [left, right] = [floats(dense), floats(crops)];
    let product = 0;
    for (let channel = dimension; channel < 2 * dimension; channel++)
      product += left[channel]! * right[channel]!;
    assert.ok(Math.abs(product - cosines[1]!) < 1e-6);
  });
});
