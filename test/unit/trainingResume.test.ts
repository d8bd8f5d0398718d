import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type KeyedRandom, keyedRandom } from '../../trainer/random.ts';
import { requestStatus, requestStop } from '../../trainer/runs/controlClient.ts';
import { controlPipePath } from '../../trainer/runs/controlPipe.ts';
import { readLease } from '../../trainer/runs/leaseFile.ts';
import { parseMetricLine } from '../../trainer/runs/metricRecords.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { summariseRun } from '../../trainer/runs/runSummary.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  startTrainer,
  type TrainerProcess,
  textOf,
  tinyCommand,
  waitForSteps,
  waitUntil,
  weightsOfRun,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);

describe('a training run that is ended and resumed', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;
  /** The trainers of the test in progress. */
  let trainers: TrainerProcess[];

  const command = (run: string, epochs: number) => [
    ...tinyCommand(folder.file('model'), folder.file('images'), folder.file(run)),
    ...['--epochs', String(epochs), '--checkpoint-every', '3', '--seed', '5'],
  ];
  const start = (args: readonly string[]) => {
    const trainer = startTrainer(args);
    trainers.push(trainer);
    return trainer;
  };

  /** The epochs of the short runs and of the one that is killed over and over; 6 steps each. */
  const [few, many] = [8, 30];
  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 14);
    for (const [run, epochs] of [
      ['undisturbed', few],
      ['undisturbed-long', many],
    ] as const) {
      const { status, stderr } = await runTrainer(command(run, epochs));
      assert.equal(status, 0, stderr);
    }
  });
  after(() => folder.remove());

  beforeEach(() => {
    trainers = [];
  });
  afterEach(async () => {
    for (const { child } of trainers) child.kill('SIGKILL');
    await Promise.all(trainers.map(({ ended }) => ended));
  });

  async function assertSameRun(run: string, undisturbed: string): Promise<void> {
    const [found, expected] = [
      await weightsOfRun(folder.file(run)),
      await weightsOfRun(folder.file(undisturbed)),
    ];
    assert.deepEqual([...found.keys()], [...expected.keys()]);
    for (const [name, content] of expected)
      assert.ok(found.get(name)!.equals(content), `${name} has other bits`);

    const [files, others] = [runFiles(folder.file(run)), runFiles(folder.file(undisturbed))];
    for (const line of textOf(files.metrics).split('\n'))
      assert.ok(line === '' || parseMetricLine(line) !== null, `not a record: ${line}`);
    const curve = async (file: string) =>
      (await readMetricHistory(file)).steps.map(({ step, epoch, loss, lr, gradNorm }) => [
        step,
        epoch,
        loss,
        lr,
        gradNorm,
      ]);
    assert.deepEqual(await curve(files.metrics), await curve(others.metrics));
    const agreement = async (file: string) =>
      (await readMetricHistory(file)).evaluations.map(({ eval: { step, 'heldOut.cosine': cosine } }) => [
        step,
        cosine,
      ]);
    assert.deepEqual(await agreement(files.metrics), await agreement(others.metrics));
    assert.deepEqual(
      (await readdir(files.directory)).sort(),
      (await readdir(others.directory)).sort(),
      'killed trainers left files behind',
    );
    const pipe = path.basename(controlPipePath(files.directory)).replace(/-\d+\.sock$/, '');
    const sockets = await readdir(path.dirname(controlPipePath(files.directory)));
    assert.deepEqual(
      sockets.filter(name => name.startsWith(pipe)),
      [],
      'killed trainers left sockets behind',
    );
    assert.equal((await summariseRun(files.directory)).state, 'finished');
  }

  /** What a killed trainer was in the middle of, as far as its half-written files show. */
  async function halfDone(run: string): Promise<string> {
    const { directory, checkpoints, lease } = runFiles(folder.file(run));
    const names = [
      ...(await readdir(directory).catch(() => [])),
      ...(await readdir(checkpoints).catch(() => [])),
    ];
    const pieces = names
      .filter(name => name.startsWith('.'))
      .map(name => name.replace(/^\.([a-z]+).*/, '$1'));
    return pieces.length > 0 ? pieces.join('+') : textOf(lease) === '' ? 'before the lease' : 'between files';
  }

  /** Waits for a moment while the trainer starts, while it trains, or while it saves at the end of an epoch. */
  async function momentToKill(trainer: TrainerProcess, round: number, random: KeyedRandom): Promise<void> {
    const { metrics } = runFiles(folder.file('killed'));
    if (round % 4 === 0) await delay(random.float() * 900);
    else if (round % 4 === 1) {
      await waitForSteps(trainer, folder.file('killed'));
      await delay(random.float() * 250);
    } else {
      const before = textOf(metrics).length;
      const epochEnded = () =>
        [
          ...textOf(metrics)
            .slice(before)
            .matchAll(/^\{"step":(\d+),.*\n/gm),
        ].some(([, step]) => Number(step) % 6 === 0);
      await waitUntil(trainer, epochEnded);
      await delay(random.float() * 50);
    }
  }

  it('comes to the same bits in mixed precision, which skips steps and remembers its loss scale', async () => {
    // So heavy a loss overflows at the first scales.
    const half = (run: string) => [...command(run, few), '--precision', 'fp16', '--cosine-weight', '1000'];
    const { status, stderr } = await runTrainer(half('half'));
    assert.equal(status, 0, stderr);
    for (const enough of [2, 5]) {
      const trainer = start(half('half-killed'));
      await waitForSteps(trainer, folder.file('half-killed'), enough);
      trainer.child.kill('SIGKILL');
      assert.equal((await trainer.ended).signal, 'SIGKILL');
    }
    assert.equal((await start(half('half-killed')).ended).status, 0);
    await assertSameRun('half-killed', 'half');
    const stepsOf = async (run: string) =>
      (await readMetricHistory(runFiles(folder.file(run)).metrics)).steps.map(
        ({ lossScale, skippedSteps }) => [lossScale, skippedSteps],
      );
    const scales = await stepsOf('half');
    assert.deepEqual(await stepsOf('half-killed'), scales);
    assert.deepEqual(scales[0], [65536, 1]);
    assert.ok(scales.at(-1)![1]! > 0 && scales.at(-1)![1]! < 20, String(scales.at(-1)));
    assert.match(
      stderr,
      /step 1 was skipped: its gradients overflowed half precision; the loss scale is 32768 now/,
    );
  });

  it('comes to the same bits however often it is killed', async () => {
    const args = command('killed', many);
    const moments = new Map<string, number>();
    let kills = 0;
    for (let round = 0; kills < 24; round++) {
      const random = keyedRandom(seed, 'kill', round);
      const trainer = start(args);
      await momentToKill(trainer, round, random);
      trainer.child.kill('SIGKILL');
      const { signal, status, stderr } = await trainer.ended;
      assert.ok(signal === 'SIGKILL', `seed ${seed}, round ${round}: ended with status ${status}: ${stderr}`);
      kills++;
      const moment = await halfDone('killed');
      moments.set(moment, (moments.get(moment) ?? 0) + 1);
    }
    const { steps } = await readMetricHistory(runFiles(folder.file('killed')).metrics);
    console.log(
      `      seed ${seed} (TEST_SEED): ${kills} kills, the last after step ${steps.at(-1)?.step}; half done:`,
      Object.fromEntries(moments),
    );
    assert.equal((await summariseRun(folder.file('killed'))).state, 'interrupted');
    const { status, stderr } = await start(args).ended;
    assert.equal(status, 0, stderr);
    await assertSameRun('killed', 'undisturbed-long');
  });

  const lastTurns = async (run: string) =>
    (await readMetricHistory(runFiles(folder.file(run)).metrics)).events.map(({ event }) => [
      event.kind,
      event.step,
    ]);

  /** A stop leaves a checkpoint of the last step, says so and gives the run back; the next trainer goes on. */
  async function assertStopsAndResumes(run: string, trainer: TrainerProcess): Promise<void> {
    const { status, signal, stdout, stderr } = await trainer.ended;
    assert.deepEqual([status, signal], [0, null], stderr);
    const files = runFiles(folder.file(run));
    const step = (await readMetricHistory(files.metrics)).steps.at(-1)?.step ?? 0;
    assert.match(stdout, new RegExp(`^stopped after step ${step}: ${files.directory}\n`));
    assert.deepEqual(await lastTurns(run), [
      ['started', 0],
      ['stopped', step],
    ]);
    assert.ok((await readdir(files.checkpoints)).includes(`step-${String(step).padStart(8, '0')}`));
    assert.equal(await readLease(files.directory), null);
    const resumed = await start(command(run, few)).ended;
    assert.equal(resumed.status, 0, resumed.stderr);
    assert.deepEqual(await lastTurns(run), [
      ['started', 0],
      ['stopped', step],
      ['resumed', step],
      ['finished', 6 * few],
    ]);
    await assertSameRun(run, 'undisturbed');
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`saves and exits 0 on ${signal}`, async () => {
      const trainer = start(command(signal, few));
      assert.ok(await waitForSteps(trainer, folder.file(signal), 4));
      trainer.child.kill(signal);
      await assertStopsAndResumes(signal, trainer);
    });
  }

  it('takes a signal that arrives twice at once for one', async () => {
    const trainer = start(command('twice', few));
    assert.ok(await waitForSteps(trainer, folder.file('twice'), 5));
    trainer.child.kill('SIGINT');
    trainer.child.kill('SIGTERM');
    await assertStopsAndResumes('twice', trainer);
  });

  it('stops before the first step', async () => {
    const trainer = start(command('early', few));
    const { lease } = runFiles(folder.file('early'));
    assert.ok(await waitUntil(trainer, () => textOf(lease) !== ''));
    trainer.child.kill('SIGTERM');
    await assertStopsAndResumes('early', trainer);
  });

  it('stops over the control pipe', async () => {
    const directory = folder.file('pipe');
    const trainer = start(command('pipe', few));
    assert.ok(await waitForSteps(trainer, directory, 3));
    const { controlPipe } = (await readLease(directory))!.lease!;
    const status = await requestStatus(controlPipe);
    assert.deepEqual(
      [status.directory, status.pid, status.totalSteps, status.stopping],
      [directory, trainer.pid, 6 * few, false],
    );
    assert.ok(status.step >= 3);
    const { afterStep } = await requestStop(controlPipe);
    assert.ok(afterStep > status.step && afterStep <= 6 * few);
    await assertStopsAndResumes('pipe', trainer);
    await assert.rejects(requestStatus(controlPipe), /is not there/);
  });

  it('goes on when the terminal is closed', async () => {
    const trainer = start(command('hangup', few));
    assert.ok(await waitForSteps(trainer, folder.file('hangup'), 3));
    trainer.child.stdout.destroy();
    trainer.child.stderr.destroy();
    trainer.child.kill('SIGHUP');
    const { status, signal } = await trainer.ended;
    assert.deepEqual([status, signal], [0, null]);
    await assertSameRun('hangup', 'undisturbed');
  });

  it('refuses a second trainer, and the first goes on', async () => {
    const args = command('shared', many);
    const first = start(args);
    assert.ok(await waitForSteps(first, folder.file('shared'), 2));
    const second = await start(args).ended;
    assert.equal(second.status, 1);
    assert.equal(second.stdout, '');
    const said = `clipself: ${folder.file('shared')}: this run is being trained by process ${first.pid} on ${os.hostname()} since `;
    assert.ok(second.stderr.startsWith(said), second.stderr);
    assert.equal(second.stderr.trimEnd().split('\n').length, 1, second.stderr);
    assert.ok(await waitForSteps(first, folder.file('shared'), 2), 'the first trainer ended');
    first.child.kill('SIGTERM');
    assert.equal((await first.ended).status, 0);
    assert.deepEqual(
      (await lastTurns('shared')).map(([kind]) => kind),
      ['started', 'stopped'],
    );
    assert.doesNotMatch(await readFile(runFiles(folder.file('shared')).log, 'utf8'), /being trained by/);
  });

  it('lets one of two trainers that start together have the run', async () => {
    const args = command('together', few);
    const outcomes = await Promise.all([start(args).ended, start(args).ended]);
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), [0, 1]);
    await assertSameRun('together', 'undisturbed');
  });
});
