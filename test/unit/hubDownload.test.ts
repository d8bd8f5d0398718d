/** Downloads against a server on this machine that plays the Hugging Face hub. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { defaultModelsFolder, modelPath } from '../../trainer/checkpoints/modelsFolder.ts';
import { type PublishedModel, publishedModels } from '../../trainer/checkpoints/publishedModels.ts';
import { type DownloadOptions, downloadFile, partialName } from '../../trainer/hub/downloadFile.ts';
import { offerModel } from '../../trainer/hub/downloadModel.ts';
import { type HubFile, HubRepository } from '../../trainer/hub/hubClient.ts';
import { DownloadCancelledError, HubError } from '../../trainer/hub/hubError.ts';
import type { TransferProgress } from '../../trainer/transferMeter.ts';
import { type HubServer, sha256, startHubServer } from '../support/hubServer.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const name = 'weights.bin';
const content = randomBytes(1 << 20);

describe('downloads from the hub', function () {
  this.timeout(20_000);
  let hub: HubServer;
  let folder: TemporaryFolder;
  let target: string;
  let repository: HubRepository;
  let progress: TransferProgress[];

  beforeEach(async () => {
    hub = await startHubServer();
    hub.files.set(`some/model/${name}`, content);
    folder = await temporaryFolder();
    target = folder.file(name);
    repository = new HubRepository('some/model', { endpoint: hub.address });
    progress = [];
  });
  afterEach(async () => {
    await hub.close();
    await folder.remove();
  });

  const fetchIt = async (options: DownloadOptions = {}, file?: HubFile): Promise<void> =>
    downloadFile(repository, file ?? (await repository.find([name])), target, {
      firstDelay: 5,
      progress: at => progress.push(at),
      ...options,
    });
  const ranges = (): string[] =>
    hub.requests.filter(line => line.includes('/resolve/') && !line.endsWith('bytes=0-0'));
  const rejects = (work: Promise<unknown>, kind: HubError['kind'], pattern: RegExp): Promise<void> =>
    assert.rejects(work, (error: unknown) => {
      assert.ok(error instanceof HubError, String(error));
      assert.equal(error.kind, kind);
      assert.match(error.message, pattern);
      assert.ok(!/[\r\n]/.test(error.message));
      return true;
    });

  it('finds the first of several files with size and SHA-256, and the licence of the repository', async () => {
    const found = await repository.find(['not-there.safetensors', name]);
    assert.deepEqual(found, { path: name, bytes: content.length, sha256: sha256(content) });
    assert.equal(await repository.licence(), 'apache-2.0');
  });

  it('writes the content under its name, and nothing else', async () => {
    await fetchIt();
    assert.deepEqual(await readFile(target), content);
    assert.deepEqual(await readdir(folder.path), [name]);
    assert.deepEqual([progress.at(-1)!.received, progress.at(-1)!.total], [content.length, content.length]);
  });

  it('goes on where the connection was cut', async () => {
    hub.trouble.cuts = [300_000, 200_000];
    const reasons: string[] = [];
    await fetchIt({ retrying: reason => reasons.push(reason) });
    assert.deepEqual(await readFile(target), content);
    assert.equal(reasons.length, 2);
    assert.match(reasons[0]!, /the connection broke off/);
    const [first, second, third] = ranges();
    assert.equal(first, `GET /some/model/resolve/main/${name}`);
    assert.match(second!, /bytes=300000-1048575$/);
    assert.match(third!, /bytes=500000-1048575$/);
  });

  it('goes on in another session, and gives up when nothing more comes', async () => {
    hub.trouble.cuts = [300_000, 0, 0, 0, 0];
    await rejects(fetchIt(), 'interrupted', /the connection broke off/);
    const file = await repository.find([name]);
    assert.deepEqual(await readFile(partialName(target, file)), content.subarray(0, 300_000));
    hub.requests.length = 0;
    progress.length = 0;
    await fetchIt();
    assert.deepEqual(await readFile(target), content);
    assert.match(ranges().join(), /bytes=300000-/);
    // What was there already counts as received from the start.
    assert.ok(progress.every(({ received }) => received >= 300_000));
  });

  it('does not go on with a part of another content', async () => {
    const file = await repository.find([name]);
    await writeFile(partialName(target, { sha256: 'f'.repeat(64) }), 'of an earlier version');
    await fetchIt({}, file);
    assert.deepEqual(await readFile(target), content);
    assert.equal(ranges().length, 1);
  });

  it('keeps content of another checksum under another name and says so', async () => {
    hub.trouble.exchanged = randomBytes(content.length);
    await assert.rejects(fetchIt(), (error: unknown) => {
      assert.ok(error instanceof FileError);
      assert.match(error.message, /its SHA-256 is [0-9a-f]{64}, but the hub says [0-9a-f]{64}/);
      assert.match(error.message, /kept under this name and not used/);
      return true;
    });
    const [kept, ...others] = await readdir(folder.path);
    assert.deepEqual(others, []);
    assert.match(kept!, /\.mismatch$/);
    delete hub.trouble.exchanged;
    await fetchIt();
    assert.deepEqual(await readFile(target), content);
  });

  it('does not append to a part what a server sends from the start', async () => {
    hub.trouble.cuts = [300_000];
    await assert.rejects(fetchIt({ retrying: () => (hub.trouble.ignoresRange = true) }), HubError);
    const file = await repository.find([name]).catch(() => null);
    assert.equal(file, null, 'a server without ranges tells no size');
    delete hub.trouble.ignoresRange;
    await fetchIt();
    assert.deepEqual(await readFile(target), content);
  });

  it('can be cancelled, and goes on later', async () => {
    hub.trouble.slow = 20;
    const controller = new AbortController();
    repository = new HubRepository('some/model', { endpoint: hub.address, signal: controller.signal });
    const { signal } = controller;
    const cancel = (at: TransferProgress): void => {
      if (at.received > 0) controller.abort(new DownloadCancelledError('cancelled'));
    };
    await assert.rejects(fetchIt({ signal, progress: cancel }), DownloadCancelledError);
    const [part] = await readdir(folder.path);
    assert.match(part!, /\.part$/);
    hub.trouble.slow = 0;
    repository = new HubRepository('some/model', { endpoint: hub.address });
    await fetchIt();
    assert.deepEqual(await readFile(target), content);
  });

  it('says in one sentence that the hub cannot be reached', async () => {
    const { address } = hub;
    await hub.close();
    await rejects(
      repository.find([name]),
      'offline',
      /^http:\/\/127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)\. Check/,
    );
    hub = await startHubServer();
    assert.notEqual(hub.address, address);
  });

  it('tells a login, terms, a missing repository and a busy hub apart', async () => {
    for (const [status, pattern] of [
      [401, /needs a login or does not exist.*HF_TOKEN/],
      [403, /is gated.*Accept its terms/],
      [404, /is not on the hub/],
      [429, /too many requests/],
      [500, /the hub answered 500/],
    ] as const) {
      hub.trouble.status = status;
      await rejects(repository.find([name]), 'refused', pattern);
    }
    delete hub.trouble.status;
    await rejects(repository.find(['none.pt']), 'refused', /holds none of none\.pt/);
  });

  it('sends a token where there is one, and refuses what is none', async () => {
    const options = { endpoint: hub.address, token: 'hf_secret' };
    await new HubRepository('some/model', options).find([name]);
    assert.equal(hub.authorization, 'Bearer hf_secret');
    assert.throws(
      () => new HubRepository('some/model', { ...options, token: 'secret' }),
      (error: unknown) => error instanceof HubError && !error.message.includes('secret'),
    );
    assert.throws(() => new HubRepository('a/b', { endpoint: 'file:///etc' }), /HF_ENDPOINT is no address/);
  });

  it('takes no path from the server, no file without a checksum and no endless description', async () => {
    hub.trouble.path = '../../outside';
    await rejects(repository.find([name]), 'refused', /holds none of/);
    delete hub.trouble.path;
    hub.trouble.withoutChecksum = true;
    await rejects(repository.find([name]), 'refused', /gives no checksum/);
    hub.trouble.hugeDescription = 3 << 20;
    await rejects(repository.find([name]), 'refused', /larger than 1048576 bytes/);
  });

  it('names trouble with the disk', async () => {
    const file = await repository.find([name]);
    const inFile = path.join(folder.file('plain'), name);
    await writeFile(folder.file('plain'), '');
    await assert.rejects(downloadFile(repository, file, inFile), FileError);
    const enormous = { ...file, bytes: Number.MAX_SAFE_INTEGER };
    await assert.rejects(downloadFile(repository, enormous, target), /the disk has \d+ MiB left/);
    await mkdir(target);
    await assert.rejects(fetchIt(), /cannot write/);
  });

  it('offers a model once: there already, or another file in the way', async () => {
    const model: PublishedModel = { ...publishedModels[0]!, repository: 'some/model', files: [name] };
    const offer = await offerModel(model, folder.path, { endpoint: hub.address });
    assert.deepEqual([offer.present, offer.hubLicence, offer.warnings.length], [false, 'apache-2.0', 1]);
    const own = path.join(offer.directory, name);
    await mkdir(offer.directory);
    await writeFile(own, content);
    assert.equal((await offerModel(model, folder.path, { endpoint: hub.address })).present, true);
    await writeFile(own, 'mine');
    await assert.rejects(offerModel(model, folder.path, { endpoint: hub.address }), /is in the way/);
    assert.equal(await readFile(own, 'utf8'), 'mine');
  });
});

describe('published models', () => {
  it('have names that are folders, known architectures, plain file names and licences', () => {
    assert.equal(new Set(publishedModels.map(({ name }) => name)).size, publishedModels.length);
    for (const { name, files, architecture, licence, repository, sha256, bytes } of publishedModels) {
      for (const plain of [name, ...files]) assert.match(plain, /^\w[\w.-]*$/);
      assert.ok(knownArchitectures.has(architecture), architecture);
      assert.ok(licence.length > 0 && bytes > 1e8);
      assert.match(repository, /^[\w.-]+\/[\w.-]+$/);
      assert.match(sha256 ?? '0'.repeat(64), /^[0-9a-f]{64}$/);
    }
  });

  it('are kept in the folder for data of each system', () => {
    const { join } = path;
    assert.equal(defaultModelsFolder({}, 'linux', '/h'), join('/h', '.local', 'share', 'clipself', 'models'));
    assert.equal(
      defaultModelsFolder({ XDG_DATA_HOME: '/d' }, 'linux', '/h'),
      join('/d', 'clipself', 'models'),
    );
    assert.match(defaultModelsFolder({ XDG_DATA_HOME: 'd' }, 'linux', '/h'), /^.h/);
    assert.match(defaultModelsFolder({}, 'darwin', '/h'), /Application Support/);
    assert.match(defaultModelsFolder({ LOCALAPPDATA: '/l' }, 'win32', '/h'), /^.l/);
  });

  it('are found by name once they are there; a path comes first', async () => {
    const folder = await temporaryFolder();
    try {
      await assert.rejects(modelPath('RN50-openai', folder.path), /Run 'clipself download RN50-openai'/);
      await mkdir(folder.file('RN50-openai'));
      assert.equal(await modelPath('RN50-openai', folder.path), folder.file('RN50-openai'));
      assert.equal(await modelPath('any/path.pt', folder.path), 'any/path.pt');
    } finally {
      await folder.remove();
    }
  });
});
