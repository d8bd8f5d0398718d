/** `clipself download` as a program of its own, against a server on this machine that plays the hub. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { type HubServer, hollowWeights, startHubServer } from '../support/hubServer.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { buildTrainer, trainerProgram } from '../support/trainingFixture.ts';

const name = 'RN50-openai';
const repository = 'timm/resnet50_clip.openai';

describe('clipself download', function () {
  this.timeout(60_000);
  const weights = hollowWeights();
  let hub: HubServer;
  let folder: TemporaryFolder;

  before(() => buildTrainer());
  beforeEach(async () => {
    hub = await startHubServer();
    hub.files.set(`${repository}/open_clip_model.safetensors`, weights);
    folder = await temporaryFolder();
  });
  afterEach(async () => {
    await hub.close();
    await folder.remove();
  });

  interface Ended {
    status: number | null;
    stdout: string;
    stderr: string;
  }

  function start(...args: string[]): { child: ChildProcess; stderr: () => string; ended: Promise<Ended> } {
    const env = { ...process.env, HF_ENDPOINT: hub.address, HF_TOKEN: '', XDG_DATA_HOME: folder.path };
    const child = spawn(process.execPath, [trainerProgram, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', data => (output.stdout += data));
    child.stderr.on('data', data => (output.stderr += data));
    const ended = new Promise<Ended>(resolve => child.on('close', status => resolve({ status, ...output })));
    return { child, stderr: () => output.stderr, ended };
  }
  const run = (...args: string[]): Promise<Ended> => start(...args).ended;
  const out = (): string[] => ['--out', folder.file('models')];

  it('lists names, sizes and licences', async () => {
    const { status, stdout } = await run('download', '--list');
    assert.equal(status, 0);
    assert.match(stdout, /^ViT-B-16-openai {2,}599 MB {2}OpenAI CLIP ViT-B\/16: MIT/m);
    assert.match(stdout, /^EVA02-L-14-336 .*MIT \(EVA-CLIP\)$/m);
    const listed = JSON.parse((await run('download', '--list', '--json')).stdout) as { name: string }[];
    assert.ok(listed.some(model => model.name === name));
  });

  it('shows the licence and wants it agreed to', async () => {
    const { status, stderr } = await run('download', name, ...out());
    assert.equal(status, 2);
    assert.match(stderr, /licence {2}MIT \(OpenAI's CLIP\)/);
    assert.match(stderr, /on the hub: apache-2\.0/);
    assert.match(stderr, /nobody is there to agree to the licence.*--yes/);
    assert.equal(existsSync(folder.file('models')), false);
  });

  it('shows what would be fetched, and fetches nothing', async () => {
    const { status, stdout } = await run('download', name, ...out(), '--dry-run', '--json');
    assert.equal(status, 0);
    const offer = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(offer.bytes, weights.length);
    assert.equal(offer.directory, path.join(folder.file('models'), name));
    assert.deepEqual([offer.present, offer.hubLicence], [false, 'apache-2.0']);
    assert.equal(existsSync(folder.file('models')), false);
  });

  it('writes a folder that --model takes, goes on after a cut, and does nothing the second time', async () => {
    hub.trouble.cuts = [20_000_000];
    const first = await run('download', name, ...out(), '--yes');
    assert.equal(first.status, 0, first.stderr);
    const directory = path.join(folder.file('models'), name);
    assert.equal(first.stdout.trim(), directory);
    assert.match(first.stderr, /the connection broke off; trying again/);
    assert.match(first.stderr, /76 MB of 76|77 MB of 77/);
    assert.deepEqual((await readdir(directory)).sort(), [
      'open_clip_config.json',
      'open_clip_model.safetensors',
    ]);
    const described = JSON.parse((await run('describe', directory, '--json')).stdout) as {
      architecture: { name: string };
      warnings: string[];
    };
    assert.equal(described.architecture.name, 'RN50-quickgelu');
    assert.deepEqual(described.warnings, []);
    hub.requests.length = 0;
    const second = await run('download', name, ...out());
    assert.equal(second.status, 0, second.stderr);
    assert.match(second.stderr, /where it is already/);
    assert.ok(hub.requests.every(line => !line.includes('/resolve/') || line.endsWith('bytes=0-0')));
  });

  it('puts it where --model finds it by its name', async () => {
    const before = await run('describe', name);
    assert.equal(before.status, 1);
    assert.match(before.stderr, /Run 'clipself download RN50-openai'/);
    const fetched = await run('download', name, '--yes', '--json');
    assert.equal(fetched.status, 0, fetched.stderr);
    const { directory } = JSON.parse(fetched.stdout) as { directory: string };
    assert.equal((await run('describe', name)).status, 0);
    assert.ok(directory.startsWith(folder.path) || process.platform !== 'linux');
    const last = fetched.stderr.trim().split('\n').at(-1)!;
    assert.equal((JSON.parse(last) as { received: number }).received, weights.length);
  });

  it('stops on Ctrl-C and keeps what was received', async function () {
    if (process.platform === 'win32')
      skipBecause(this, 'Windows has no signal to send: it would end the process at once');
    hub.trouble.slow = 5;
    const { child, stderr, ended } = start('download', name, ...out(), '--yes', '--json');
    while (!/"received":[1-9]/.test(stderr())) await new Promise(resolve => setTimeout(resolve, 20));
    child.kill('SIGINT');
    const { status, stderr: said } = await ended;
    assert.equal(status, 1);
    assert.match(said, /clipself: cancelled: what was received is kept/);
    const [part] = (await readdir(path.join(folder.file('models'), name))).filter(file =>
      file.endsWith('.part'),
    );
    assert.ok(part);
  });

  it('says clearly what is wrong', async () => {
    const unknown = await run('download', 'ViT-X');
    assert.equal(unknown.status, 2);
    assert.match(
      unknown.stderr,
      /^clipself: there is no published model 'ViT-X'; 'clipself download --list'/,
    );
    assert.equal((await run('download')).status, 2);
    await mkdir(path.join(folder.file('models'), name, 'open_clip_model.safetensors'), { recursive: true });
    const inTheWay = await run('download', name, ...out(), '--yes');
    assert.deepEqual([inTheWay.status, inTheWay.stderr.trim().split('\n').length], [1, 1]);
    await hub.close();
    const offline = await run('download', name, ...out(), '--yes');
    assert.equal(offline.status, 1);
    assert.match(
      offline.stderr,
      /^clipself: http:\S+ cannot be reached \(ECONNREFUSED\)\. Check the connection.* choose them as the model$/m,
    );
    hub = await startHubServer();
  });
});
