import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { CancellationTokenSource } from 'vscode-jsonrpc/node';
import type { FeaturesParams } from '../../trainer/inspect/protocol.ts';
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
  startProcess,
  trainerProgram,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

/** 96 × 96 tokens: long enough to be interrupted. */
const longSize = 768;

describe('inspector service: process', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  let service: InspectClient;
  const query = (changes: Partial<FeaturesParams> = {}): FeaturesParams => ({
    model: modelAt(folder.file('model')),
    image: folder.file('images/image-00.png'),
    size: 32,
    readOut: 'value',
    layer: null,
    ...changes,
  });

  before(async () => {
    await buildTrainer();
    folder = await temporaryFolder();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 1);
  });

  afterEach(endInspectServices);

  after(() => folder.remove());

  it('gives up a forward pass that is cancelled, keeps nothing of it and serves the next request', async () => {
    const cache = folder.file('cancelled');
    service = startInspectService(cache);
    const source = new CancellationTokenSource();
    const stages: number[] = [];
    service.onProgress(({ stage, fraction }) => {
      if (stage !== 'forward') return;
      stages.push(fraction);
      source.cancel();
    });
    const long = service.request('features', { ...query({ size: longSize }), id: 1 }, source.token);
    const next = service.request('features', query());
    assert.equal((await refusal(long)).name, 'cancelled');
    assert.equal((await next).cached, false);
    assert.ok(
      stages.every(fraction => fraction < 0.9),
      stages.join(),
    );
    assert.equal((await service.close()).status, 0);
    const maps = (await readdir(cache)).filter(name => name.endsWith('.map'));
    assert.equal(maps.length, 1);
  });

  it('answers a request that is cancelled while it waits before the one in work is done', async () => {
    service = startInspectService(folder.file('waiting'));
    const source = new CancellationTokenSource();
    const order: string[] = [];
    service.onProgress(({ id, stage }) => {
      if (id === 1 && stage === 'forward') source.cancel();
    });
    const working = service.request('features', { ...query({ size: longSize }), id: 1 });
    const waiting = service.request('features', query({ size: 40 }), source.token);
    const done = working.then(() => order.push('working'));
    assert.equal((await refusal(waiting)).name, 'cancelled');
    order.push('waiting');
    await done;
    assert.deepEqual(order, ['waiting', 'working']);
    assert.equal((await service.close()).status, 0);
  });

  it('ends by itself when nothing was asked for the idle timeout, counted from the last answer', async () => {
    service = startInspectService(folder.file('idle'), ['--idle-timeout', '0.5']);
    await service.request('features', query({ size: longSize }));
    const answered = performance.now();
    const { status, stderr } = await service.ended;
    const waited = performance.now() - answered;
    assert.equal(status, 0, stderr);
    assert.ok(waited >= 450, `ended after ${waited} ms`);
  });

  it('ends when its input closes, in the middle of work too', async () => {
    service = startInspectService(folder.file('closed'));
    assert.deepEqual(await service.close(), { status: 0, stderr: '' });
    service = startInspectService(folder.file('closed'));
    const inWork = new Promise<void>(resolve => {
      service.onProgress(({ stage }) => {
        if (stage === 'forward') resolve();
      });
    });
    const lost = service.request('features', { ...query({ size: longSize }), id: 1 }).catch(() => 'lost');
    await inWork;
    assert.equal((await service.close()).status, 0);
    assert.equal(await lost, 'lost');
    const names = await readdir(folder.file('closed'));
    assert.deepEqual(
      names.filter(name => name !== 'hashes.json'),
      [],
    );
  });

  it('ends when it is told what is no message', async () => {
    service = startInspectService(folder.file('junk'));
    service.child.stdin.write('Content-Length: five\r\n\r\nhello\r\n\r\n');
    const outcome = await Promise.race([
      service.ended,
      service.request('describe', { model: modelAt(folder.file('model')) }).then(
        () => 'answered',
        () => 'refused',
      ),
    ]);
    assert.notEqual(outcome, 'answered');
  });

  it('needs a cache folder that it can write, and is not in the list of commands', async () => {
    const run = (args: string[]) => startProcess(process.execPath, [trainerProgram, ...args]).ended;
    const without = await run(['inspect-service']);
    assert.deepEqual([without.status, without.stdout], [2, '']);
    assert.match(without.stderr, /needs --cache/);
    await writeFile(folder.file('in the way'), '');
    const blocked = await run(['inspect-service', '--cache', folder.file('in the way')]);
    assert.equal(blocked.status, 1);
    assert.match(blocked.stderr, /in the way: cannot write/);
    assert.doesNotMatch((await run(['--help'])).stdout, /inspect-service/);
  });
});

describe('inspector service: refusals', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  let service: InspectClient;
  const query = (changes: Partial<FeaturesParams> = {}): FeaturesParams => ({
    model: modelAt(folder.file('model')),
    image: folder.file('images/image-00.png'),
    size: 32,
    readOut: 'value',
    layer: null,
    ...changes,
  });
  const refused = (changes: Partial<FeaturesParams>) => refusal(service.request('features', query(changes)));

  before(async () => {
    await buildTrainer();
    folder = await temporaryFolder();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 1);
    service = startInspectService(folder.file('cache'), ['--memory-limit-gib', '0.01']);
  });

  after(async () => {
    endInspectServices();
    await folder.remove();
  });

  it('an image that is not there, is none, or is a folder', async () => {
    const missing = await refused({ image: folder.file('gone.png') });
    assert.equal(missing.name, 'imageNotFound');
    assert.match(missing.message, /gone\.png.*no such file/);
    await writeFile(folder.file('text.png'), 'no image');
    const text = await refused({ image: folder.file('text.png') });
    assert.equal(text.name, 'imageUnreadable');
    assert.match(text.message, /text\.png: not a JPEG/);
    await mkdir(folder.file('folder.png'));
    assert.equal((await refused({ image: folder.file('folder.png') })).name, 'imageUnreadable');
  });

  it('a model that is not there, damaged or of an unknown kind', async () => {
    assert.equal((await refused({ model: modelAt(folder.file('none')) })).name, 'modelUnreadable');
    await writeFile(folder.file('bad.safetensors'), 'no tensors at all');
    const damaged = await refused({ model: modelAt(folder.file('bad.safetensors')) });
    assert.equal(damaged.name, 'modelUnreadable');
    assert.match(damaged.message, /bad\.safetensors/);
    const arch = await refused({ model: { ...modelAt(folder.file('model')), arch: 'ViT-Nowhere' } });
    assert.match(arch.message, /not a known architecture/);
  });

  it('a size that holds no patch, offering the nearest', async () => {
    const { name, message, data } = await refused({ size: 3 });
    assert.equal(name, 'sizeUnsuitable');
    assert.equal(data.suggestedSize, 8);
    assert.match(message, /hold one patch of 8 pixels/);
    // What is left beyond the last whole patch is not seen.
    const odd = await service.request('features', query({ size: 45 }));
    assert.deepEqual([odd.rows, odd.columns, odd.size], [5, 5, 45]);
  });

  it('a size that needs more memory than there is, offering one that fits', async () => {
    const { name, data, message } = await refused({ size: 4096 });
    assert.equal(name, 'outOfMemory');
    assert.match(message, /At 4096 px this takes about/);
    assert.ok(data.suggestedSize! % 8 === 0 && data.suggestedSize! < 4096);
    const fits = await service.request('features', query({ size: data.suggestedSize! }));
    assert.equal(fits.size, data.suggestedSize);
    assert.equal((await refused({ size: data.suggestedSize! + 8 })).name, 'outOfMemory');
  });

  it('a read-out or layer that the model has not', async () => {
    assert.equal((await refused({ readOut: 'maskAttention' })).name, 'readOutUnsupported');
    const layer = await refused({ layer: 3 });
    assert.equal(layer.name, 'badRequest');
    assert.match(layer.message, /layers 1 to 2, not 3/);
  });

  it('parameters of another kind, each named', async () => {
    const odd: [unknown, RegExp][] = [
      [{ ...query(), size: '32' }, /size must be a whole number/],
      [{ ...query(), size: Number.NaN }, /size must be a whole number/],
      [{ ...query(), image: 'relative.png' }, /image must be an absolute path/],
      [{ ...query(), readOut: 'constructor' }, /readOut must be one of/],
      [{ ...query(), model: null }, /model must be a model reference/],
      [{ ...query(), model: { ...modelAt('/x'), blend: 2 } }, /blend must be a number from 0 to 1/],
    ];
    for (const [params, message] of odd) {
      const { name, message: told } = await refusal(service.request('features', params as FeaturesParams));
      assert.equal(name, 'badRequest');
      assert.match(told, message);
    }
    const outside = '../../../etc/passwd';
    const kMeans = { keys: [outside], k: 2, seed: 0, restarts: 1, smooth: false, reference: null };
    assert.equal((await refusal(service.request('kMeans', kMeans))).name, 'unknownKey');
  });
});
