import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { jobFilesOf } from '../../trainer/slurm/batchScript.ts';
import {
  cancelJob,
  readJobRecord,
  readQueue,
  SlurmError,
  stopJob,
  submitJob,
} from '../../trainer/slurm/queue.ts';
import { fixturePath } from '../support/goldenTensors.ts';
import { findLauncher } from '../support/launchers.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  type Ended,
  startProcess,
  textOf,
  trainerProgram,
  writeTinyImages,
} from '../support/trainingFixture.ts';
import { type SlurmCluster, startCluster } from './cluster.ts';

/** Milliseconds in which a job is expected to have started, or gone. */
const patience = 150_000;

describe('a job of a Slurm cluster with two tasks', function () {
  this.timeout(400_000);
  let folder: TemporaryFolder;
  let cluster: SlurmCluster;
  const before_ = { ...process.env };

  const eventually = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
    const started = performance.now();
    while (!(await holds())) {
      if (performance.now() - started > patience)
        assert.fail(`${what} did not happen\n${await cluster.command('squeue', '--format=%i %T %r %S')}`);
      await delay(200);
    }
  };
  const slurm = async (run: string, slurmOptions: string[], trainOptions: string[]): Promise<Ended> => {
    const model = ['--model', fixturePath('openclip_vit/weights.safetensors')];
    const settings =
      '--size 64 --max-split 3 --max-boxes 4 --batch 2 --lr 1e-3 --warmup 2 --threads 1 --hold-out 4';
    const training = [...model, '--images', folder.file('images'), '--out', run, ...settings.split(' ')];
    const two = ['--tasks-per-node', '2', '--cpus-per-task', '1', '--mpi', 'pmix', '--json'];
    const args = ['slurm', ...two, ...slurmOptions, '--', ...training, ...trainOptions];
    return startProcess(process.execPath, [trainerProgram, ...args]).ended;
  };
  const submit = async (run: string, slurmOptions: string[], trainOptions: string[]): Promise<number> => {
    const { status, stdout, stderr } = await slurm(run, ['--submit', ...slurmOptions], trainOptions);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout).job;
  };
  const stepsOf = async (run: string): Promise<number[]> =>
    (await readMetricHistory(runFiles(run).metrics)).steps.map(({ step }) => step);
  const startedAgain = (log: string): Promise<void> =>
    eventually('the new start', () => /restarts: 1/.test(textOf(log)));
  const inQueue = async (job: number): Promise<string | undefined> => (await readQueue()).get(job)?.state;

  before(async function () {
    const launcher = findLauncher('Open MPI');
    if (typeof launcher === 'string') skipBecause(this, launcher);
    folder = await temporaryFolder();
    const started = await startCluster(folder);
    if (typeof started === 'string') skipBecause(this, started);
    cluster = started;
    await buildTrainer();
    await writeTinyImages(folder.file('images'), 44);
    Object.assign(process.env, cluster.environment);
  });
  after(async () => {
    process.env = before_;
    await cluster?.stop();
    await folder?.remove();
  });

  it('trains to its end, whatever its folder is called', async () => {
    const run = folder.file('it\'s a $(touch hurt) `run`; "x" %j');
    const job = await submit(run, ['--time', '5', '--setup', 'echo setting up'], ['--epochs', '1']);
    assert.deepEqual(await readJobRecord(jobFilesOf(run).record).then(record => record?.job), job);
    await eventually('the end of the job', async () => (await inQueue(job)) === undefined);
    const log = textOf(jobFilesOf(run).log);
    assert.match(log, /^job \d+ on .*, restarts: 0\nsetting up\n/);
    assert.match(log, /"state":"finished","step":10/);
    const config = JSON.parse(await readFile(runFiles(run).configuration, 'utf8'));
    assert.deepEqual([config.settings.ranks, config.settings.batch], [2, 2]);
    assert.match(textOf(runFiles(run).rankLog(1)), /a step exchanged/);
    await assert.rejects(stat('hurt'));
  });

  it('saves when Slurm warns of the end of its time, is queued again and goes on', async () => {
    const run = folder.file('long');
    const job = await submit(
      run,
      ['--time', '1', '--warning', '30'],
      ['--epochs', '4000', '--checkpoint-every', '100000'],
    );
    const { log } = jobFilesOf(run);
    await eventually('the warning', () => /Slurm warns: saving/.test(textOf(log)));
    await startedAgain(log);
    const saved = Number(/"state":"stopped","step":(\d+)/.exec(textOf(log))?.[1]);
    assert.ok(saved > 0, textOf(log));
    await eventually('going on', async () => (await stepsOf(run)).length > saved + 3);
    assert.match(textOf(runFiles(run).log), new RegExp(`resumed after step ${saved} of `));
    // Told to stop, it ends for good.
    await stopJob(job);
    await eventually('the end of the job', async () => (await inQueue(job)) === undefined);
    const steps = await stepsOf(run);
    assert.deepEqual(
      steps,
      steps.map((_, index) => index + 1),
    );
    const { events } = await readMetricHistory(runFiles(run).metrics);
    assert.deepEqual(
      events.map(({ event }) => event.kind).filter(kind => kind === 'resumed'),
      ['resumed'],
    );
    assert.equal(textOf(log).match(/back into the queue/g)?.length, 1);
  });

  it('saves and makes room when a job with more right to the machine comes, and goes on after it', async () => {
    const run = folder.file('pushed');
    const job = await submit(run, ['--time', '10'], ['--epochs', '4000', '--checkpoint-every', '100000']);
    const { log } = jobFilesOf(run);
    await eventually('steps', async () => (await stepsOf(run)).length > 2);
    const urgent = ['--partition=urgent', '--ntasks=2', '--time=1', '--output=/dev/null', '--wrap=sleep 1'];
    const other = Number(await cluster.command('sbatch', '--parsable', ...urgent));
    await eventually('the warning', () => /Slurm warns: saving/.test(textOf(log)));
    await eventually('the end of the urgent job', async () => (await inQueue(other)) === undefined);
    await startedAgain(log);
    const saved = Number(/"state":"stopped","step":(\d+)/.exec(textOf(log))?.[1]);
    await eventually('going on', async () => (await stepsOf(run)).length > saved);
    assert.match(textOf(runFiles(run).log), new RegExp(`resumed after step ${saved} of `));
    await cancelJob(job);
    await eventually('the end of the job', async () => (await inQueue(job)) === undefined);
  });

  it('is taken out of the queue, and ended after its step when it trains', async () => {
    const first = folder.file('first');
    const running = await submit(first, ['--time', '5'], ['--epochs', '4000']);
    await eventually('steps', async () => (await stepsOf(first)).length > 2);
    const waiting = await submit(folder.file('second'), ['--time', '5'], ['--epochs', '1']);
    const { state, reason } = (await readQueue()).get(waiting)!;
    assert.equal(state, 'PENDING');
    assert.match(reason, /Resources|Priority|^$/);
    await cancelJob(waiting);
    assert.equal(await inQueue(waiting), undefined);
    await cancelJob(running);
    await eventually('the end of the job', async () => (await inQueue(running)) === undefined);
    assert.match(textOf(runFiles(first).log), /stopped after step \d+; the same command resumes/);
  });

  it('is refused with one sentence', async () => {
    const { status, stderr } = await slurm(
      folder.file('refused'),
      ['--submit', '--partition', 'nowhere'],
      [],
    );
    assert.equal(status, 1);
    assert.match(stderr, /^clipself: the job was refused: .*[Ii]nvalid partition name specified\n$/);
    await assert.rejects(submitJob(folder.file('none.sbatch'), folder.file('none')), SlurmError);
  });
});
