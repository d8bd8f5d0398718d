import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import type { MetricRecord, RunConfiguration, TrainerLease } from '../../trainer/protocol.ts';
import { acquireLease } from '../../trainer/runs/lease.ts';
import { formatMetricRecord, MetricHistory } from '../../trainer/runs/metricRecords.ts';
import {
  mismatchError,
  parseRunConfiguration,
  readRunConfiguration,
  settingsMismatch,
  writeRunConfiguration,
} from '../../trainer/runs/runConfiguration.ts';
import { prepareRunDirectory, runFiles } from '../../trainer/runs/runDirectory.ts';
import { findRuns, remainingSeconds, runState, summariseRun } from '../../trainer/runs/runSummary.ts';
import { version } from '../../trainer/version.ts';
import { skipBecause } from '../support/skip.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

const configuration: RunConfiguration = {
  schema: 1,
  settings: {
    model: '/models/a.safetensors',
    arch: null,
    images: '/images',
    method: 'clipself',
    regions: 'grid',
    boxes: null,
    embeddings: null,
    prompts: null,
    multiscale: null,
    trainRatio: 1,
    accumulate: 1,
    ranks: 1,
    exchange: 'average',
    compareWeightsEvery: 100,
    cosineWeight: 1,
    teacherCacheMib: 0,
    retention: 0,
    size: 448,
    maxSplit: 6,
    maxBoxes: 20,
    cropScale: 1,
    batch: 2,
    epochs: 3,
    learningRate: 1e-5,
    weightDecay: 0.1,
    warmup: 10,
    beta1: 0.9,
    beta2: 0.98,
    epsilon: 1e-6,
    unlockedBlocks: 12,
    blend: 0.7,
    seed: 0,
    holdOut: 4,
    evaluatePanoptic: null,
    evaluateImages: null,
    evaluateMasks: null,
    evaluateEmbeddings: null,
    evaluateLimit: 0,
    checkpointEvery: 50,
    keepCheckpoints: 2,
    engine: 'onnx',
    precision: 'fp32',
    threads: 0,
    memoryBudgetGib: 4,
  },
  regionsHash: null,
  modelHash: 'ab',
  parameters: { total: 10, trainable: 5 },
  totalSteps: 100,
  stepsPerEpoch: 34,
  imageCount: { found: 72, training: 68, heldOut: 4 },
  versions: { clipself: version, node: process.version, engine: '1' },
  created: '2025-01-01T00:00:00.000Z',
};

/** A step at so many seconds. */
function step(number: number, seconds: number, loss = 0.5): MetricRecord {
  return {
    step: number,
    epoch: 1,
    loss,
    lr: 1,
    gradNorm: 1,
    imagesPerSecond: 1,
    memoryMib: 1,
    time: seconds * 1000,
  };
}

function event(
  kind: 'started' | 'resumed' | 'stopped' | 'finished' | 'failed' | 'warning',
  seconds: number,
  message = '',
) {
  return { event: { kind, step: 0, time: seconds * 1000, message } };
}

function historyOf(...records: MetricRecord[]): MetricHistory {
  const history = new MetricHistory();
  history.addAll(records);
  return history;
}

describe('run directory', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'runs-'));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const rejects = (work: Promise<unknown>, pattern: RegExp) =>
    assert.rejects(work, (error: unknown) => {
      assert.ok(error instanceof FileError, `${String(error)} is not a FileError`);
      assert.match(error.message, pattern);
      return true;
    });

  describe('preparation', () => {
    it('creates a new folder with those above it and recognises a run', async () => {
      const directory = path.join(folder, 'a', 'b');
      assert.equal(await prepareRunDirectory(directory), 'new');
      assert.equal(await prepareRunDirectory(directory), 'new');
      await writeRunConfiguration(runFiles(directory).configuration, configuration);
      assert.equal(await prepareRunDirectory(directory), 'existing');
      assert.deepEqual((await readdir(directory)).sort(), ['checkpoints', 'config.json']);
    });

    it('accepts a folder that its trainer has just taken, but not one with other things', async () => {
      const lease = await acquireLease(folder, { controlPipe: 'x' });
      assert.equal(await prepareRunDirectory(folder), 'new');
      await lease.release();
      await writeFile(path.join(folder, 'thesis.tex'), '');
      await rejects(
        prepareRunDirectory(folder),
        /holds no run but other files \(thesis\.tex\)\. Choose a new or empty folder/,
      );
    });

    it('names a file in the way', async () => {
      const file = path.join(folder, 'file');
      await writeFile(file, '');
      await rejects(
        prepareRunDirectory(path.join(file, 'run')),
        /cannot write: a part of the path is a file/,
      );
      await rejects(prepareRunDirectory(file), /cannot write/);
    });

    it('names a folder that this user may not write', async function () {
      this.timeout(10_000);
      if (process.platform === 'win32')
        skipBecause(this, 'modes of Windows keep nobody from writing into a folder');
      await chmod(folder, 0o555);
      const module = JSON.stringify(new URL('../../trainer/runs/runDirectory.ts', import.meta.url).href);
      // The superuser may write everywhere, so a process of nobody tries.
      const script = `
        const { prepareRunDirectory } = await import(${module});
        if (process.getuid() === 0) process.setuid(65534);
        await prepareRunDirectory(${JSON.stringify(path.join(folder, 'run'))}).catch(error => console.log(error.name, error.message));
      `;
      const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        cwd: repository,
      });
      assert.match(
        child.stdout.toString(),
        /^FileError .*\/run: cannot write: permission denied \(EACCES\)\. Change its permissions/,
      );
    });
  });

  describe('configuration', () => {
    it('reads back as written, with nothing else left in the folder', async () => {
      const file = path.join(folder, 'config.json');
      await writeRunConfiguration(file, configuration);
      assert.deepEqual(await readRunConfiguration(file), configuration);
      assert.deepEqual(await readdir(folder), ['config.json']);
      await rejects(writeRunConfiguration(path.join(folder, 'none', 'config.json'), configuration), /ENOENT/);
    });

    const broken: [what: string, change: object, pattern: RegExp][] = [
      ['another schema', { schema: 2 }, /schema 2 is not 1/],
      ['no settings', { settings: undefined }, /settings must be an object/],
      [
        'a setting of the wrong kind',
        { settings: { ...configuration.settings, size: '448' } },
        /settings\.size must be a finite number/,
      ],
      [
        'a missing setting',
        { settings: { ...configuration.settings, model: undefined } },
        /settings\.model must be text/,
      ],
      [
        'a wrong architecture',
        { settings: { ...configuration.settings, arch: 3 } },
        /settings\.arch must be text/,
      ],
      ['no steps', { totalSteps: null }, /totalSteps must be a finite number/],
      ['no versions', { versions: {} }, /versions\.clipself must be text/],
    ];
    for (const [what, change, pattern] of broken) {
      it(`refuses ${what}`, () =>
        assert.throws(() => parseRunConfiguration({ ...configuration, ...change }, 'config.json'), pattern));
    }

    it('allows resuming with what changes no trained bit', () => {
      const requested = structuredClone(configuration);
      Object.assign(requested.settings, {
        checkpointEvery: 1,
        keepCheckpoints: 9,
        memoryBudgetGib: 1,
        model: '/moved/a.safetensors',
      });
      assert.deepEqual(settingsMismatch(configuration, requested), []);
    });

    it('lists everything else that differs', () => {
      const requested = structuredClone(configuration);
      requested.modelHash = 'cd';
      Object.assign(requested.settings, { epochs: 4, threads: 2, arch: 'ViT-B-16' });
      const differences = settingsMismatch(configuration, requested);
      assert.deepEqual(
        differences.map(({ name }) => name),
        ['modelHash', 'arch', 'epochs', 'threads'],
      );
      assert.match(
        mismatchError('/run', differences).message,
        /^\/run: it holds a run with other settings: modelHash is "ab" there and "cd" now; arch is null .*epochs is 3 there and 4 now; threads/,
      );
    });

    it('compares every setting but the free ones', () => {
      const free = new Set([
        'model',
        'checkpointEvery',
        'compareWeightsEvery',
        'keepCheckpoints',
        'memoryBudgetGib',
      ]);
      for (const name of Object.keys(configuration.settings)) {
        const settings = { ...configuration.settings, [name]: 'other' };
        const found = settingsMismatch(configuration, { ...configuration, settings }).map(
          difference => difference.name,
        );
        assert.deepEqual(found, free.has(name) ? [] : [name]);
      }
    });
  });

  describe('state', () => {
    it('follows events, steps and the trainer', () => {
      const started = event('started', 10);
      assert.equal(runState(historyOf(), 9_000), 'starting');
      assert.equal(runState(historyOf(started), 9_000), 'starting');
      assert.equal(runState(historyOf(started, step(1, 11)), 9_000), 'running');
      assert.equal(runState(historyOf(started, step(1, 11), event('warning', 12)), 9_000), 'running');
      assert.equal(runState(historyOf(started, step(1, 11)), null), 'interrupted');
      assert.equal(runState(historyOf(), null), 'interrupted');
      for (const kind of ['stopped', 'finished', 'failed'] as const) {
        assert.equal(runState(historyOf(started, step(1, 11), event(kind, 12)), null), kind);
        assert.equal(runState(historyOf(started, step(1, 11), event(kind, 12)), 9_000), kind);
        // Its successor has taken the run and loads the model.
        assert.equal(runState(historyOf(started, step(1, 11), event(kind, 12)), 13_000), 'starting');
      }
    });

    it('estimates the remaining time from the median of the latest steps', () => {
      assert.equal(remainingSeconds(historyOf(step(1, 1)), 100), null);
      assert.equal(
        remainingSeconds(historyOf(step(1, 1), step(2, 3), step(3, 5), step(4, 100)), 100),
        96 * 2,
      );
      // Time in which no trainer ran does not count.
      const resumed: MetricRecord = { event: { kind: 'resumed', step: 2, time: 1_000_000 } };
      assert.equal(remainingSeconds(historyOf(step(1, 1), step(2, 2), resumed), 100), null);
      assert.equal(
        remainingSeconds(historyOf(step(1, 1), step(2, 2), resumed, step(3, 1001), step(4, 1004)), 100),
        96 * 3,
      );
    });
  });

  describe('summary', () => {
    const write = async (name: string, ...records: MetricRecord[]) => {
      const files = runFiles(path.join(folder, name));
      await prepareRunDirectory(files.directory);
      await writeRunConfiguration(files.configuration, configuration);
      await writeFile(files.metrics, records.map(formatMetricRecord).join(''));
      return files;
    };

    it('tells a failed run and its reason', async () => {
      const { directory } = await write(
        'one',
        event('started', 2e9),
        step(7, 2e9 + 1, Number.NaN),
        event('failed', 2e9 + 2, 'the disk is full'),
      );
      assert.deepEqual(await summariseRun(directory), {
        directory,
        name: 'one',
        state: 'failed',
        step: 7,
        totalSteps: 100,
        epoch: 1,
        epochs: 3,
        loss: null,
        etaSeconds: null,
        message: 'the disk is full',
        updated: (2e9 + 2) * 1000,
        host: null,
      });
    });

    it('tells a run that trains here, and one whose trainer died', async () => {
      const { directory, lease: file, metrics } = await write('two');
      const lease = await acquireLease(directory, { controlPipe: 'x' });
      const now = Date.now() / 1000;
      await writeFile(
        metrics,
        [event('started', now), step(1, now + 1), step(2, now + 3, 0.25)].map(formatMetricRecord).join(''),
      );
      const running = await summariseRun(directory);
      assert.deepEqual(
        [running.state, running.host, running.loss, running.step],
        ['running', os.hostname(), 0.25, 2],
      );
      assert.ok(Math.abs(running.etaSeconds! - 98 * 2) < 0.1);
      const dead: TrainerLease = { ...JSON.parse(await readFile(file, 'utf8')), pid: 2 ** 22 + 1 };
      await writeJson(file, dead);
      const interrupted = await summariseRun(directory);
      assert.deepEqual(
        [interrupted.state, interrupted.host, interrupted.etaSeconds],
        ['interrupted', null, null],
      );
      await lease.release();
    });

    it('of a folder without a run is refused', async () => {
      await rejects(summariseRun(folder), /config\.json: cannot read: no such file/);
    });

    it('finds runs two folders deep and follows no links', async () => {
      const one = await write('one');
      const two = await write(path.join('group', 'two'));
      await write(path.join('group', 'sub', 'too-deep'));
      await write(path.join('.hidden', 'three'));
      await write(path.join('node_modules', 'four'));
      await write(path.join('one', 'inner'));
      await mkdir(path.join(folder, 'other'));
      await writeFile(path.join(folder, 'other', 'config.json'), '{"schema":"https"}');
      await mkdir(path.join(folder, 'huge'));
      await writeFile(path.join(folder, 'huge', 'config.json'), '{');
      await truncate(path.join(folder, 'huge', 'config.json'), 2 ** 35);
      await symlink(one.directory, path.join(folder, 'link'));
      await symlink(folder, path.join(folder, 'group', 'loop'));
      assert.deepEqual(await findRuns(folder), [two.directory, one.directory]);
      await rejects(findRuns(path.join(folder, 'none')), /ENOENT/);
    });
  });

  it('knows the version of the package', async () => {
    const manifest = JSON.parse(await readFile(path.join(repository, 'package.json'), 'utf8'));
    assert.equal(version, manifest.version);
  });
});
