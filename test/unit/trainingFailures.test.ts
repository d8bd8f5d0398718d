import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { HostTensor } from '../../trainer/checkpoints/hostTensor.ts';
import { readSafetensors, writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { CheckpointStore } from '../../trainer/runs/checkpointStore.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { summariseRun } from '../../trainer/runs/runSummary.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { assertFailure, assertUntouched, escaped, lineAbout } from '../support/trainerFailures.ts';
import {
  buildTrainer,
  runTrainer,
  startProcess,
  startTrainer,
  tinyCommand,
  trainerProgram,
  waitForSteps,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

/** Lets a command mount file systems of its own, unseen by everything else; false where that is not permitted. */
const canMount = (): boolean =>
  process.platform === 'linux' &&
  spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

describe('a training run that fails', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;

  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 8);
    await runToEnd('finished');
  });
  after(() => folder.remove());

  const command = (run: string) => [
    ...tinyCommand(folder.file('model'), folder.file('images'), folder.file(run)),
    ...['--epochs', '3', '--checkpoint-every', '2'],
  ];

  async function runToEnd(run: string): Promise<void> {
    const { status, stderr } = await runTrainer(command(run));
    assert.equal(status, 0, stderr);
  }

  const lastEvent = async (run: string) =>
    (await readMetricHistory(runFiles(folder.file(run)).metrics)).events.at(-1)!.event;
  const stepsKept = async (run: string) => {
    const store = new CheckpointStore(runFiles(folder.file(run)).checkpoints, 1, message =>
      assert.fail(message),
    );
    return (await store.list()).map(({ step }) => step);
  };

  /** A run that was stopped after a few steps. */
  async function stoppedRun(run: string): Promise<number> {
    const trainer = startTrainer(command(run));
    assert.ok(await waitForSteps(trainer, folder.file(run), 2));
    trainer.child.kill('SIGTERM');
    assert.equal((await trainer.ended).status, 0);
    return (await lastEvent(run)).step;
  }

  describe('a checkpoint', () => {
    const weight = 'visual.transformer.resblocks.0.mlp.c_fc.weight';
    /** Rewrites one file of the latest checkpoint of a stopped run to the same number of bytes. */
    async function tamper(
      run: string,
      name: string,
      change: (tensors: Map<string, HostTensor>) => void,
    ): Promise<string> {
      const step = await stoppedRun(run);
      const file = path.join(
        runFiles(folder.file(run)).checkpoints,
        `step-${String(step).padStart(8, '0')}`,
        name,
      );
      const before = await readFile(file);
      const { tensors } = await readSafetensors(file);
      change(tensors);
      await writeSafetensors(file, tensors);
      assert.equal((await readFile(file)).length, before.length);
      return file;
    }

    it('with another shape is refused and left alone', async () => {
      const file = await tamper('reshaped', 'student.safetensors', tensors => {
        const tensor = tensors.get(weight)!;
        tensors.set(weight, { ...tensor, shape: tensor.shape.toReversed() });
      });
      await assertUntouched(folder.file('reshaped'), async () => {
        const ended = await runTrainer(command('reshaped'));
        assertFailure(
          ended,
          1,
          lineAbout(
            file,
            `'${escaped(weight)}' is float32 \\[32, 128\\] where float32 \\[128, 32\\] is needed\\. The`,
          ),
        );
      });
      const { kind, message } = await lastEvent('reshaped');
      assert.equal(kind, 'failed');
      assert.ok(message!.includes(weight));
    });

    it('without a moment of its optimiser is refused', async () => {
      const file = await tamper('forgetful', 'optimiser.safetensors', tensors => {
        const tensor = tensors.get(`first/${weight}`)!;
        tensors.delete(`first/${weight}`);
        tensors.set(`other/${weight}`, tensor);
      });
      const ended = await runTrainer(command('forgetful'));
      assertFailure(ended, 1, lineAbout(file, `it has no tensor 'first/${escaped(weight)}'`));
    });

    it('that is cut off gives way to the one before it', async () => {
      await runToEnd('cut-checkpoint');
      const { checkpoints, student } = runFiles(folder.file('cut-checkpoint'));
      const expected = await readFile(student);
      const steps = await stepsKept('cut-checkpoint');
      await writeFile(student, '');
      const file = path.join(checkpoints, `step-${String(steps[0]).padStart(8, '0')}`, 'student.safetensors');
      await truncate(file, 1000);
      // As if the trainer had been killed before it said that it had finished.
      const { metrics } = runFiles(folder.file('cut-checkpoint'));
      const records = (await readFile(metrics, 'utf8')).split('\n');
      await writeFile(metrics, records.slice(0, -2).join('\n'));
      const { status, stderr } = await runTrainer(command('cut-checkpoint'));
      assert.equal(status, 0, stderr);
      assert.match(
        stderr,
        /warning: The checkpoint .* is damaged and passed over: student\.safetensors has 1000 bytes/,
      );
      assert.ok((await readFile(student)).equals(expected));
    });
  });

  it('keeps earlier checkpoints when the loss leaves the finite numbers', async () => {
    const args = [
      ...command('diverging'),
      ...['--lr', '10', '--weight-decay', '10', '--warmup', '0', '--epochs', '40', '--keep-checkpoints', '1'],
    ];
    const ended = await runTrainer(args);
    assertFailure(
      ended,
      1,
      /^clipself: the (loss|gradient) became (NaN|Infinity) at step \d+: .*Lower the learning rate \(--lr\)/,
    );
    const { kind, step, message } = await lastEvent('diverging');
    assert.equal(kind, 'failed');
    assert.ok(step >= 3, `it failed too early, at step ${step}, to have a checkpoint`);
    const scheduled = step - (step % 2);
    const kept = await stepsKept('diverging');
    assert.ok(kept.includes(scheduled), `${kept} instead of ${scheduled}`);
    assert.equal((await summariseRun(folder.file('diverging'))).message, message);

    // The same command fails at the same step in the same words.
    assertFailure(await runTrainer(args), 1, new RegExp(`^clipself: ${escaped(message!)}$`));
    assert.deepEqual(await stepsKept('diverging'), kept);
  });

  it('keeps earlier checkpoints on a full disk and goes on when there is space again', async function () {
    if (!canMount()) {
      skipBecause(this, 'a file system of its own cannot be mounted here (unshare -rm)');
    }
    await mkdir(folder.file('tmp'));
    const args = [...command('x'), '--out', '/mnt/run', '--epochs', '3', '--keep-checkpoints', '2'];
    // A checkpoint takes 350 KiB, so that the third does not fit beside two.
    const script = `
      mount -t tmpfs -o size=1m none /mnt
      "$@"; echo "status $?"
      ls -A /mnt/run /mnt/run/checkpoints
      mount -o remount,size=16m /mnt
      "$@" 2>&1; echo "status $?"
      cp -r /mnt/run/. "$RESULT"
    `;
    const environment = { ...process.env, TMPDIR: folder.file('tmp'), RESULT: folder.file('full') };
    await mkdir(folder.file('full'));
    const { stdout, stderr } = await startProcess(
      'unshare',
      ['-rm', 'sh', '-c', script, 'sh', process.execPath, trainerProgram, 'train', ...args],
      environment,
    ).ended;
    const [first, rest] = stdout.split(/^status \d\n/m);
    assert.deepEqual(
      [...stdout.matchAll(/^status (\d)$/gm)].map(match => match[1]),
      ['1', '0'],
      stdout + stderr,
    );
    assertFailure(
      { status: 1, signal: null, stdout: first!, stderr },
      1,
      /^clipself: \/mnt\/run\/\S+: cannot write: the disk is full \(ENOSPC\)\. Free some space and run the same command again$/,
    );
    assert.match(rest!, /^step-00000002$/m);
    assert.doesNotMatch(rest!, /\.tmp-/);
    assert.match(rest!, /^resumed after step [2-9]\d* of 12$/m);
    const expected = await readFile(runFiles(folder.file('finished')).student);
    assert.ok((await readFile(runFiles(folder.file('full')).student)).equals(expected));
  });
});
