import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { describeJob, queueInterval, type SlurmJob, SlurmJobs } from '../../extension/slurmJobs.ts';
import { problemWithSlurmSetting, slurmRequestOf } from '../../extension/slurmRequest.ts';
import { writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import { jobFilesOf, slurmDefaults } from '../../trainer/slurm/batchScript.ts';
import type { QueuedJob } from '../../trainer/slurm/queue.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

describe('Slurm settings of the extension', () => {
  it('become the request of the command line', () => {
    assert.deepEqual(slurmRequestOf({}), slurmDefaults);
    const values = {
      nodes: '2',
      tasksPerNode: 4,
      cpusPerTask: '',
      gpusPerTask: '1',
      time: ' 12:00:00 ',
      partition: null,
    };
    assert.deepEqual(slurmRequestOf(values), {
      ...slurmDefaults,
      ...{ nodes: 2, tasksPerNode: 4, gpusPerTask: 1, time: '12:00:00' },
    });
  });

  it('are refused with the name of the setting', () => {
    assert.throws(
      () => slurmRequestOf({ nodes: 'two' }),
      /^Error: clipself\.slurm\.nodes takes a whole number from 1/,
    );
    assert.throws(
      () => slurmRequestOf({ setup: 'module load x' }),
      /clipself\.slurm\.setup takes a list of lines/,
    );
    assert.throws(() => slurmRequestOf({ colour: 1 }), /“colour” is not a Slurm setting/);
    assert.equal(problemWithSlurmSetting('time', ''), null);
    assert.match(problemWithSlurmSetting('time', 'soon')!, /^takes minutes/);
    assert.match(problemWithSlurmSetting('nodes', '0')!, /whole number/);
  });
});

describe('jobs in the queue', () => {
  let folder: TemporaryFolder;
  let jobs: SlurmJobs;
  let now: number;
  /** Times at which the queue was asked, and what it answers next. */
  let asked: number[];
  let queue: (() => QueuedJob[])[];
  let problems: string[];
  let ended: number[];
  const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;
  let waiting: { at: number; run: () => void }[];

  const queued = (job: number, state = 'RUNNING'): QueuedJob => ({ job, state, reason: '', nodes: 'n1' });
  const recordOf = (job: number, run: string) => ({
    schema: 1 as const,
    job,
    run,
    submitted: '2026-01-01T00:00:00Z',
  });
  /** Lets time pass, and what is due happen. */
  const pass = async (milliseconds: number): Promise<void> => {
    const end = now + milliseconds;
    for (;;) {
      const due = waiting.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      waiting.splice(waiting.indexOf(due), 1);
      now = Math.max(now, due.at);
      due.run();
      await new Promise(resolve => realSetTimeout(resolve, 20));
    }
    now = end;
  };

  beforeEach(async () => {
    folder = await temporaryFolder();
    [now, asked, queue, problems, ended, waiting] = [1000, [], [], [], [], []];
    globalThis.setTimeout = ((run: () => void, wait: number) => {
      const entry = { at: now + wait, run };
      waiting.push(entry);
      return Object.assign(entry, { unref: () => undefined });
    }) as unknown as typeof setTimeout;
    globalThis.clearTimeout = (entry => {
      waiting = waiting.filter(other => other !== (entry as unknown));
    }) as typeof clearTimeout;
    const source = {
      now: () => now,
      readQueue: async () => {
        asked.push(now);
        const answer = queue.length > 1 ? queue.shift()! : queue[0]!;
        return new Map(answer().map(job => [job.job, job]));
      },
    };
    jobs = new SlurmJobs(source, message => problems.push(message));
    jobs.onDidEnd(({ job }) => ended.push(job));
  });
  afterEach(async () => {
    Object.assign(globalThis, { setTimeout: realSetTimeout, clearTimeout: realClearTimeout });
    jobs.dispose();
    await folder.remove();
  });

  it('are asked for at most every 30 seconds, whoever wants to know, and not at all while there are none', async () => {
    await jobs.refresh();
    await pass(200_000);
    assert.deepEqual(asked, []);
    queue = [() => [queued(5)]];
    jobs.add(recordOf(5, folder.file('a')));
    assert.equal(jobs.of(folder.file('a'))?.state, 'PENDING');
    for (let second = 0; second < 100; second++) {
      await jobs.refresh();
      await pass(1000);
    }
    assert.ok(asked.length >= 3, String(asked));
    for (const [index, time] of asked.slice(1).entries()) assert.ok(time - asked[index]! >= queueInterval);
    assert.equal(jobs.of(folder.file('a'))?.state, 'RUNNING');
  });

  it('are found by the records beside their runs', async () => {
    await mkdir(folder.file('runs'));
    const run = folder.file('runs/first');
    await writeJson(jobFilesOf(run).record, recordOf(7, run));
    await writeJson(jobFilesOf(folder.file('runs/other')).record, recordOf(8, '/elsewhere/run'));
    queue = [() => [queued(7, 'PENDING'), queued(99)]];
    await jobs.watch([folder.file('runs'), folder.file('missing')]);
    await pass(1000);
    assert.deepEqual(
      jobs.jobs.map(({ job, directory, state }) => [job, directory, state]),
      [[7, run, 'PENDING']],
    );
  });

  it('are gone when the queue no longer has them, and are asked for no more', async () => {
    queue = [() => [queued(5)], () => []];
    jobs.add(recordOf(5, folder.file('a')));
    await pass(100_000);
    assert.deepEqual([ended, jobs.jobs, asked.length], [[5], [], 2]);
  });

  it('keep what was last known while the queue does not answer, which is told once', async () => {
    const down = (): QueuedJob[] => {
      throw new Error('the queue could not be asked: Unable to contact slurm controller');
    };
    queue = [() => [queued(5)], down, down, () => [queued(5)], down];
    jobs.add(recordOf(5, folder.file('a')));
    await pass(5000);
    await pass(2 * queueInterval);
    assert.equal(problems.length, 1);
    const { state, isStale } = jobs.of(folder.file('a'))!;
    assert.deepEqual([state, isStale, ended], ['RUNNING', true, []]);
    await pass(queueInterval);
    assert.equal(jobs.of(folder.file('a'))!.isStale, false);
    await pass(queueInterval);
    assert.equal(problems.length, 2);
  });

  it('are described as Slurm calls them', () => {
    const job: SlurmJob = {
      ...{
        job: 12,
        directory: path.resolve('a'),
        state: 'PENDING',
        reason: 'Priority',
        nodes: '',
        isStale: false,
      },
    };
    assert.equal(describeJob(job), 'job 12 pending (Priority)');
    assert.equal(
      describeJob({ ...job, state: 'RUNNING', reason: '', nodes: 'n[1-2]' }),
      'job 12 running on n[1-2]',
    );
    assert.equal(
      describeJob({ ...job, state: null, reason: '', isStale: true }),
      'job 12 in the queue?, queue does not answer',
    );
  });
});
