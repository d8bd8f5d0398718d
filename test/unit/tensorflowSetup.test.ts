/** How an installation of TensorFlow fails: with one clear line, and nothing half-installed. */

import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { TensorflowSetup } from '../../extension/tensorflowSetup.ts';
import { installationFile } from '../../trainer/engines/tensorflow/installation.ts';
import { failureOf } from '../../trainer/engines/tensorflow/setup/runTool.ts';
import {
  cudaRequirements,
  describeLibraries,
  hasWheels,
} from '../../trainer/engines/tensorflow/setup/wheels.ts';
import { offlineNpm, offlinePip, type PlayedTools, playTools } from '../support/setupTools.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  type Ended,
  startProcess,
  type TrainerProcess,
  trainerProgram,
} from '../support/trainingFixture.ts';

describe('installing TensorFlow', function () {
  this.timeout(30_000);
  let folder: TemporaryFolder;

  before(async function () {
    if (!hasWheels()) skipBecause(this, 'the played programs are scripts of a POSIX shell');
    await buildTrainer();
  });
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  const environment = (tools: string): NodeJS.ProcessEnv => ({
    ...process.env,
    PATH: tools,
    XDG_CACHE_HOME: folder.file('cache'),
    CXX: '',
  });

  async function start(tools: PlayedTools, ...options: string[]): Promise<TrainerProcess> {
    const place = await playTools(folder.file('tools'), tools);
    const args = ['setup-tensorflow', '--cpu', '--yes', '--json', '--out', folder.file('tensorflow')];
    return startProcess(process.execPath, [trainerProgram, ...args, ...options], environment(place));
  }

  const problemOf = ({ stderr }: Ended): string => stderr.trim().split('\n').at(-1)!;

  async function assertNothingInstalled(): Promise<void> {
    const left = (await readdir(folder.path)).filter(name => name.startsWith('tensorflow'));
    assert.deepEqual(left, []);
  }

  it('says that there is no network, once', async () => {
    const ended = await (await start({ python3: offlinePip, npm: offlineNpm })).ended;
    assert.equal(ended.status, 1);
    assert.match(problemOf(ended), /^clipself: python3 could not reach its package index: check the network/);
    assert.equal(ended.stderr.match(/clipself: /g)?.length, 1);
    await assertNothingInstalled();
  });

  it('without pip tries the old libraries, and says both when these cannot be had', async () => {
    const ended = await (await start({ npm: offlineNpm })).ended;
    assert.equal(ended.status, 1);
    assert.match(
      problemOf(ended),
      /Python with pip is needed.*apt install python3-pip.*old libraries.*npm could not reach its package index/,
    );
    await assertNothingInstalled();
  });

  it('says that npm is needed where neither pip nor npm is there', async () => {
    const ended = await (await start({ python3: 'echo No module named pip >&2; exit 1' })).ended;
    assert.equal(ended.status, 1);
    assert.match(problemOf(ended), /Python with pip is needed.*npm is needed and is not installed here/);
    await assertNothingInstalled();
  });

  it('says that the disk is full', async () => {
    const pip = `case "$*" in *--version*) ;; *) echo "OSError: [Errno 28] No space left on device" >&2; exit 1;; esac`;
    const ended = await (await start({ python3: pip })).ended;
    assert.match(problemOf(ended), /^clipself: the disk is full: free some space and try again$/);
    await assertNothingInstalled();
  });

  it('leaves nothing when it is cancelled', async () => {
    const running = `case "$*" in *--version*) ;; *) exec sleep 60;; esac`;
    const setup = await start({ python3: running });
    setup.child.stderr.once('data', () => setTimeout(() => setup.child.kill('SIGTERM'), 500));
    const ended = await setup.ended;
    assert.match(problemOf(ended), /^clipself: cancelled: nothing was installed$/);
    await assertNothingInstalled();
  });

  it('keeps the installation that is there when a new one fails', async () => {
    const place = folder.file('tensorflow');
    await mkdir(place);
    await writeFile(path.join(place, installationFile), '{"package":"@tensorflow/tfjs-node"}');
    const ended = await (await start({ python3: offlinePip })).ended;
    assert.equal(ended.status, 1);
    assert.deepEqual(await readdir(place), [installationFile]);
  });

  it('refuses to run beside another into the same folder', async () => {
    const partial = folder.file('tensorflow.partial');
    await mkdir(partial);
    await writeFile(path.join(partial, 'installing.pid'), String(process.pid));
    const ended = await (await start({ python3: offlinePip })).ended;
    assert.match(problemOf(ended), new RegExp(`already, by process ${process.pid}: wait for it`));
    assert.deepEqual(await readdir(partial), ['installing.pid']);
  });

  it('takes over what a process that is gone has left', async () => {
    const gone = startProcess(process.execPath, ['-e', '0']);
    await gone.ended;
    await mkdir(folder.file('tensorflow.partial'));
    await writeFile(folder.file('tensorflow.partial/installing.pid'), String(gone.pid));
    const ended = await (await start({ python3: offlinePip })).ended;
    assert.match(problemOf(ended), /could not reach its package index/);
    await assertNothingInstalled();
  });

  it('removes an installation, and no other folder', async () => {
    const remove = async (place: string): Promise<Ended> =>
      startProcess(
        process.execPath,
        [trainerProgram, 'setup-tensorflow', '--remove', '--out', place],
        environment(''),
      ).ended;
    await mkdir(folder.file('photographs'));
    await writeFile(folder.file('photographs/one.jpg'), '');
    const refused = await remove(folder.file('photographs'));
    assert.equal(refused.status, 1);
    assert.match(problemOf(refused), /TensorFlow is not installed in .*photographs: nothing was removed/);
    assert.deepEqual(await readdir(folder.file('photographs')), ['one.jpg']);

    await mkdir(folder.file('tensorflow/libraries'), { recursive: true });
    await writeFile(folder.file(`tensorflow/${installationFile}`), '{}');
    assert.equal((await remove(folder.file('tensorflow'))).status, 0);
    await assertNothingInstalled();
  });

  it('is given to trainers of the extension once it is whole', async () => {
    const root = path.resolve(trainerProgram, '../../..');
    const setup = new TensorflowSetup(root, folder.file('tensorflow'), {});
    assert.deepEqual(setup.variables, {});
    await mkdir(folder.file('tensorflow/node_modules/@tensorflow/tfjs-node'), { recursive: true });
    await writeFile(folder.file('tensorflow/node_modules/@tensorflow/tfjs-node/package.json'), '{}');
    const content = { package: '@tensorflow/tfjs-node', source: 'wheel', tensorflow: '2.21.0', cuda: null };
    await writeFile(folder.file(`tensorflow/${installationFile}`), JSON.stringify(content));
    assert.deepEqual(setup.variables, { CLIPSELF_TENSORFLOW: folder.file('tensorflow') });
    const state = await setup.state();
    assert.ok(state.installed);
    assert.equal(state.installation.tensorflow, '2.21.0');
    const named = new TensorflowSetup(root, folder.file('tensorflow'), {
      CLIPSELF_TENSORFLOW: folder.file('x'),
    });
    assert.equal(named.folder, folder.file('x'));
  });
});

describe('what tools say of an installation', () => {
  it('becomes one line', () => {
    assert.equal(
      failureOf('c++', 'a.cc:1:2: note: x\na.cc:3:4: error: no such header\nmake: stopped'),
      'c++ failed: a.cc:3:4: error: no such header',
    );
    assert.equal(failureOf('npm', ''), 'npm failed: it said nothing');
  });

  it('names the CUDA libraries of a wheel, without the compiler', () => {
    const metadata = [
      'Requires-Dist: numpy>=1.26',
      'Requires-Dist: nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"',
      'Requires-Dist: nvidia-cuda-nvcc-cu12<13.0; extra == "and-cuda"',
    ].join('\n');
    assert.deepEqual(cudaRequirements(metadata), ['nvidia-cublas-cu12<13.0,>=12.5.3.2']);
    assert.throws(() => cudaRequirements('Requires-Dist: numpy'), /names no CUDA libraries/);
  });

  it('tells the versions of a wheel', async () => {
    const build = `build_info = collections.OrderedDict([('cuda_version', '12.5.1'), ('cudnn_version', '9')])`;
    const found = describeLibraries('tensorflow-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl', build);
    assert.deepEqual(found, { tensorflow: '2.21.0', cuda: '12.5.1', cudnn: '9' });
  });
});

describe('the sizes that are agreed to', () => {
  it('are those of the help of the command', async () => {
    const { gigabytes, libraryKinds, setupSizes } = await import(
      '../../trainer/engines/tensorflow/setup/sizes.ts'
    );
    const help = await readFile(
      new URL('../../trainer/commands/setupTensorflow.ts', import.meta.url),
      'utf8',
    );
    for (const kind of libraryKinds) {
      const { download, disk } = setupSizes[kind];
      const [down, on] = [download, disk].map(bytes => String(Number.parseFloat(gigabytes(bytes))));
      assert.ok(help.includes(`about ${down} GB to download, ${on} GB on the disk`), kind);
    }
  });
});
