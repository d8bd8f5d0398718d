import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import { readSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { readRunConfiguration } from '../../trainer/runs/runConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { fixturePath, maxAbsDifference } from '../support/goldenTensors.ts';
import {
  findLauncher,
  type Launcher,
  processOfRank,
  startRanks,
  startTrainingRanks,
} from '../support/launchers.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  type Ended,
  runTrainer,
  type TrainerProcess,
  textOf,
  waitForSteps,
  waitUntil,
  writeTinyImages,
} from '../support/trainingFixture.ts';

const scenarioProgram = fileURLToPath(new URL('../support/rankScenarios.ts', import.meta.url));

/** What another order of adding up float32 gradients makes of weights up to 1.7 in at most ten steps of AdamW. */
const summationError = 4e-6;

/** Three boxes of each of the first tiny images. */
async function writeBoxes(file: string, images: number): Promise<void> {
  const boxes = Array.from({ length: 3 * images }, (_, index) => {
    const corner = 4 * (index % 3);
    const image = `image-${String(Math.floor(index / 3)).padStart(2, '0')}.png`;
    return { image, box: [corner, 2, corner + 20, 30 + corner] };
  });
  await writeJson(file, { boxes });
}

for (const name of ['Open MPI', 'MPICH'])
  describe(`several ranks under ${name}`, function () {
    this.timeout(120_000);
    let folder: TemporaryFolder;
    let launcher: Launcher;
    let jobs: TrainerProcess[] = [];

    const command = (out: string, epochs = 1): string[] => {
      const settings = '--size 64 --max-split 3 --max-boxes 4 --lr 1e-3 --warmup 2 --threads 1 --hold-out 4';
      const model = fixturePath('openclip_vit/weights.safetensors');
      const places = ['--model', model, '--images', folder.file('images'), '--out', folder.file(out)];
      return [...places, ...settings.split(' '), '--epochs', String(epochs)];
    };
    const start = (ranks: number, args: readonly string[]): TrainerProcess => {
      const job = startTrainingRanks(launcher, ranks, args);
      jobs.push(job);
      return job;
    };
    const train = async (ranks: number, args: readonly string[]): Promise<Ended> => {
      const ended = await (ranks === 1 ? runTrainer(args) : start(ranks, args).ended);
      assert.equal(ended.status, 0, ended.stderr);
      return ended;
    };
    const play = (scenario: string, ranks: number): Promise<Ended> => {
      const job = startRanks(launcher, ranks, ['--import', 'tsx', scenarioProgram, scenario]);
      jobs.push(job);
      return job.ended;
    };

    /** Largest difference of the trained weights and moments of two runs' checkpoints of a step. */
    const difference = async (one: string, other: string, step: number): Promise<number> => {
      let most = 0;
      for (const file of ['student.safetensors', 'optimiser.safetensors']) {
        const [expected, actual] = await Promise.all(
          [one, other].map(run => {
            const checkpoint = `step-${String(step).padStart(8, '0')}`;
            return readSafetensors(path.join(runFiles(folder.file(run)).checkpoints, checkpoint, file));
          }),
        );
        assert.deepEqual([...actual!.tensors.keys()].sort(), [...expected!.tensors.keys()].sort());
        for (const [tensor, { data }] of expected!.tensors)
          most = Math.max(
            most,
            maxAbsDifference(actual!.tensors.get(tensor)!.data as Float32Array, data as Float32Array),
          );
      }
      return most;
    };
    const lossesOf = async (run: string): Promise<number[]> =>
      (await readMetricHistory(runFiles(folder.file(run)).metrics)).steps.map(({ loss }) => loss);

    before(async function () {
      const found = findLauncher(name);
      if (typeof found === 'string') skipBecause(this, found);
      launcher = found;
      folder = await temporaryFolder();
      await buildTrainer();
      await writeTinyImages(folder.file('images'), 44);
      await writeBoxes(folder.file('boxes.json'), 44);
      await train(1, [...command('alone'), '--batch', '8']);
    });
    after(() => folder?.remove());
    afterEach(async () => {
      for (const { child } of jobs) child.kill('SIGKILL');
      await Promise.all(jobs.map(({ ended }) => ended));
      jobs = [];
    });

    it('sum, gather and agree', async () => {
      const { status, stdout, stderr } = await play('values', 3);
      assert.equal(status, 0, stderr);
      const { names, numbers, any, none, threads } = JSON.parse(stdout);
      assert.deepEqual(
        names,
        [0, 1, 2].map(rank => ({ name: `rank ${rank}`, list: [rank, 'é'] })),
      );
      assert.deepEqual([numbers, any, none], [[3, 1.5], true, false]);
      assert.ok(threads >= 1);
    });

    for (const ranks of [2, 3, 4])
      it(`train ${ranks} shares of a step to the weights of one rank with all of its images`, async () => {
        const run = `shared-${ranks}`;
        // Three ranks have unequal shares.
        const batch = ranks === 3 ? ['--batch', '2', '--ranks', '4'] : ['--batch', String(8 / ranks)];
        const { stdout } = await train(ranks, [...command(run), ...batch]);
        assert.match(stdout, /^finished after step 5: /);
        assert.ok((await difference('alone', run, 5)) <= summationError);
        assert.ok(maxAbsDifference(await lossesOf(run), await lossesOf('alone')) <= 1e-6);
        const names = await readdir(folder.file(run));
        const logs = names.filter(file => file.startsWith('log'));
        assert.deepEqual(logs.sort(), [
          ...Array.from({ length: ranks - 1 }, (_, index) => `log-rank-${index + 1}.txt`),
          'log.txt',
        ]);
        assert.match(textOf(runFiles(folder.file(run)).rankLog(1)), /a step exchanged \d+\.\d\d MiB/);
      });

    it('draw sizes and retain whole images as one rank does, in passes of a few images', async () => {
      const more = '--multiscale 32,64 --retention 0.5'.split(' ');
      await train(1, [...command('alone-more'), ...more, '--batch', '8']);
      await train(2, [...command('shared-more'), ...more, '--batch', '2', '--accumulate', '2']);
      assert.ok((await difference('alone-more', 'shared-more', 5)) <= summationError);
    });

    it('add up gradients in many small buckets, while the backward pass goes on, to the same bits', async () => {
      const args = ['--batch', '4'];
      await train(2, [...command('one-bucket'), ...args]);
      process.env.CLIPSELF_GRADIENT_BUCKET_MIB = '0.004';
      try {
        await train(2, [...command('many-buckets'), ...args]);
      } finally {
        delete process.env.CLIPSELF_GRADIENT_BUCKET_MIB;
      }
      assert.equal(await difference('one-bucket', 'many-buckets', 5), 0);
      const exchanged = (run: string): number[] =>
        /exchanged [\d.]+ MiB of gradients in (\d+) buckets \((\d+) % back/
          .exec(textOf(runFiles(folder.file(run)).log))!
          .slice(1)
          .map(Number);
      assert.deepEqual(exchanged('one-bucket'), [1, 0]);
      const [buckets, meanwhile] = exchanged('many-buckets') as [number, number];
      assert.ok(buckets >= 10 && meanwhile > 0, `${buckets} buckets, ${meanwhile} % meanwhile`);
    });

    it('keep their gradients to themselves with --no-average', async () => {
      await train(2, [...command('apart'), '--batch', '4', '--no-average']);
      const { settings } = await readRunConfiguration(runFiles(folder.file('apart')).configuration);
      assert.deepEqual([settings.exchange, settings.ranks], ['none', 2]);
      assert.ok((await difference('alone', 'apart', 5)) > 1e-4);
      assert.doesNotMatch(textOf(runFiles(folder.file('apart')).log), /a step exchanged/);
    });

    it('stop together when one of them gets SIGTERM, and go on with another number', async () => {
      await train(1, [...command('alone-long', 6), '--batch', '4']);
      const total = 60;
      const args = [...command('stopped', 6), '--batch', '1'];
      const job = start(4, args);
      assert.ok(await waitForSteps(job, folder.file('stopped'), 5));
      process.kill(processOfRank(2, folder.file('stopped'))!, 'SIGTERM');
      const { status, stdout, stderr } = await job.ended;
      assert.equal(status, 0, stderr);
      const step = Number(/^stopped after step (\d+): /.exec(stdout)?.[1]);
      assert.ok(step >= 5 && step < total, stdout);
      const resumed = await train(2, args);
      assert.match(resumed.stderr, new RegExp(`resumed after step ${step} of ${total}`));
      const { settings } = await readRunConfiguration(runFiles(folder.file('stopped')).configuration);
      assert.equal(settings.ranks, 4);
      const [losses, expected] = [await lossesOf('stopped'), await lossesOf('alone-long')];
      assert.equal(losses.length, total);
      // Rounding grows with the steps; an image repeated or left out shows in the second digit.
      assert.ok(maxAbsDifference(losses, expected) <= 1e-3);
    });

    it('end within seconds when one is killed, and go on from the last checkpoint with any number', async () => {
      const args = [...command('killed', 2), '--checkpoint-every', '1', '--keep-checkpoints', '9'];
      await train(1, [...command('alone-two', 2), '--batch', '8']);
      const job = start(2, [...args, '--batch', '4']);
      assert.ok(await waitForSteps(job, folder.file('killed'), 2));
      process.kill(processOfRank(1, folder.file('killed'))!, 'SIGKILL');
      const started = performance.now();
      const { status } = await job.ended;
      assert.ok(performance.now() - started < 10_000);
      assert.notEqual(status, 0);
      assert.ok(await waitUntil(job, () => processOfRank(0, folder.file('killed')) === undefined));
      await train(3, ['--resume', folder.file('killed')]);
      assert.ok((await difference('alone-two', 'killed', 10)) <= summationError);
      assert.ok(maxAbsDifference(await lossesOf('killed'), await lossesOf('alone-two')) <= 1e-6);
    });

    it('keep the teacher’s embeddings each for itself: the same weights as without them, and after a kill', async () => {
      const args = [...command('', 3).slice(0, -2), '--epochs', '3', '--checkpoint-every', '1'];
      args.push('--keep-checkpoints', '99', '--regions', 'boxes-file', '--boxes', folder.file('boxes.json'));
      const run = (out: string, ...more: string[]): string[] => [...args, ...more, '--out', folder.file(out)];
      const cache = ['--teacher-cache', '1'];
      await train(1, run('kept-alone', '--batch', '8', ...cache));
      await train(2, run('not-kept', '--batch', '4'));
      await train(2, run('kept', '--batch', '4', ...cache));
      for (const log of [runFiles(folder.file('kept')).log, runFiles(folder.file('kept')).rankLog(1)])
        assert.match(textOf(log), /the teacher's embeddings of 120 of 120 regions are kept/);
      assert.ok((await difference('not-kept', 'kept', 15)) <= summationError);
      assert.ok((await difference('kept-alone', 'kept', 15)) <= summationError);

      const job = start(2, run('kept-killed', '--batch', '4', ...cache));
      // In the second epoch both ranks know some regions, and others have come to them for the first time.
      assert.ok(await waitForSteps(job, folder.file('kept-killed'), 7));
      process.kill(processOfRank(1, folder.file('kept-killed'))!, 'SIGKILL');
      assert.notEqual((await job.ended).status, 0);
      await train(2, ['--resume', folder.file('kept-killed')]);
      assert.equal(await difference('kept', 'kept-killed', 15), 0);
      assert.deepEqual(await lossesOf('kept-killed'), await lossesOf('kept'));
    });

    it('end with one line when something fails on one of them', async () => {
      const started = performance.now();
      const { status, stderr } = await play('failure', 3);
      assert.ok(performance.now() - started < 20_000);
      assert.notEqual(status, 0);
      const lines = stderr.split('\n').filter(line => line.includes('clipself:'));
      assert.deepEqual(lines, ['clipself: rank 1 of 3: the disk of rank 1 is full']);
    });

    it('are heard by a launcher that is busy when one of them fails', async () => {
      // What is lost without patience was lost in every third job.
      for (let job = 0; job < 6; job++) {
        const { status, stderr } = await play('unheard', 2);
        assert.notEqual(status, 0);
        assert.match(stderr, /^clipself: rank 1 of 2: the disk of rank 1 is full$/m);
      }
    });

    it('say once what all of them find wrong', async () => {
      const { status, stderr } = await play('agreed', 3);
      assert.notEqual(status, 0);
      const lines = stderr
        .split('\n')
        .filter(line => /told|clipself/.test(line) && !/rankScenarios/.test(line));
      assert.deepEqual(lines, ['told: no such file on rank 1']);
      const few = await start(3, [...command('few'), '--batch', '1', '--ranks', '2']).ended;
      // Launchers make one status of all ranks' in ways of their own.
      assert.notEqual(few.status, 0);
      assert.equal(few.stderr.match(/^clipself: 3 ranks cannot share the 2 images of a step/gm)?.length, 1);
    });

    it('name the rank whose weights have come apart', async () => {
      const { status, stderr } = await play('diverged', 3);
      assert.notEqual(status, 0);
      assert.match(stderr, /clipself: rank \d of 3: after step 7 the weights of rank 2 differ/);
    });

    it('refuse a library that is not the launcher’s', async () => {
      const other = name === 'MPICH' ? 'libmpi.so.40' : 'libmpich.so.12';
      if (typeof findLauncher(name === 'MPICH' ? 'Open MPI' : 'MPICH') === 'string') return;
      const environment = process.env.CLIPSELF_MPI_LIBRARY;
      process.env.CLIPSELF_MPI_LIBRARY = other;
      try {
        const { status, stderr } = await play('values', 2);
        assert.notEqual(status, 0);
        assert.match(stderr, /told: the launcher started 2 processes, but .* sees 1: /);
        process.env.CLIPSELF_MPI_LIBRARY = folder.file('missing.so');
        assert.match((await play('values', 2)).stderr, /told: no .* library was found \(tried .*missing\.so/);
      } finally {
        if (environment === undefined) delete process.env.CLIPSELF_MPI_LIBRARY;
        else process.env.CLIPSELF_MPI_LIBRARY = environment;
      }
    });
  });
