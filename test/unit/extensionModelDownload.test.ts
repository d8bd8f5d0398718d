/** How the extension asks for and fetches published models, against a server on this machine that plays the hub. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { licenceText, ModelDownloads } from '../../extension/modelDownload.ts';
import { CommandCancelledError } from '../../extension/runCommand.ts';
import { describeTransfer } from '../../extension/transferText.ts';
import type { TransferProgress } from '../../trainer/transferMeter.ts';
import { type HubServer, startHubServer } from '../support/hubServer.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { buildTrainer, trainerProgram } from '../support/trainingFixture.ts';

const name = 'EVA02-B-16';
const file = 'EVA02_CLIP_B_psz16_s8B.pt';

describe('models for the extension', function () {
  this.timeout(30_000);
  const endpoint = process.env.HF_ENDPOINT;
  let hub: HubServer;
  let folder: TemporaryFolder;
  let downloads: ModelDownloads;

  before(() => buildTrainer());
  beforeEach(async () => {
    hub = await startHubServer();
    hub.files.set(`QuanSun/EVA-CLIP/${file}`, randomBytes(1 << 20));
    process.env.HF_ENDPOINT = hub.address;
    folder = await temporaryFolder();
    downloads = new ModelDownloads(path.resolve(trainerProgram, '../../..'), folder.path);
  });
  afterEach(async () => {
    if (endpoint === undefined) delete process.env.HF_ENDPOINT;
    else process.env.HF_ENDPOINT = endpoint;
    await hub.close();
    await folder.remove();
  });

  const never = new AbortController().signal;

  it('tells licence, size and place before anything is fetched', async () => {
    const offer = await downloads.offer(name, never);
    assert.deepEqual([offer.present, offer.bytes, offer.hubLicence], [false, 1 << 20, 'apache-2.0']);
    assert.equal(offer.directory, folder.file(name));
    assert.match(
      licenceText(offer),
      /^Licence: MIT \(EVA-CLIP\)\.\nIts repository on the hub states: apache-2\.0\./,
    );
    assert.deepEqual(await downloads.present(), []);
  });

  it('gives progress, and the reason when what came is no model', async () => {
    const seen: TransferProgress[] = [];
    const fetched = downloads.fetch(name, bytes => seen.push(bytes), never);
    await assert.rejects(fetched, /EVA02_CLIP_B_psz16_s8B\.pt: not a valid PyTorch file/);
    assert.equal(seen.at(-1)!.received, 1 << 20);
  });

  it('can be cancelled', async () => {
    hub.trouble.slow = 100;
    const controller = new AbortController();
    const cancel = ({ received }: TransferProgress): void => {
      if (received > 0) controller.abort();
    };
    await assert.rejects(downloads.fetch(name, cancel, controller.signal), CommandCancelledError);
  });

  it('says clearly that there is no network', async () => {
    await hub.close();
    await assert.rejects(downloads.offer(name, never), /^Error: http:\S+ cannot be reached \(ECONNREFUSED\)/);
    hub = await startHubServer();
  });

  it('knows what is there', async () => {
    await mkdir(folder.file(name));
    await writeFile(path.join(folder.file(name), `.${file}.0123.part`), '');
    assert.deepEqual(await downloads.present(), []);
    await writeFile(path.join(folder.file(name), file), '');
    assert.deepEqual(await downloads.present(), [folder.file(name)]);
  });

  it('words progress', () => {
    const bytes = { received: 120e6, total: 599e6, bytesPerSecond: 12.34e6, remainingSeconds: 38.2 };
    assert.equal(describeTransfer(bytes), '120 MB of 599 MB, 12.3 MB/s, 39 s left');
    assert.match(describeTransfer({ ...bytes, remainingSeconds: 600 }), /10 min left$/);
  });
});
