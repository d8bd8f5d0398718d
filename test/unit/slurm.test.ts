import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { slurmCommand } from '../../trainer/commands/slurm.ts';
import {
  batchScript,
  jobFilesOf,
  requestProblem,
  type SlurmRequest,
  slurmDefaults,
} from '../../trainer/slurm/batchScript.ts';
import { cancelJob, readJobRecord, readQueue, stopJob, submitJob } from '../../trainer/slurm/queue.ts';
import { printed } from '../support/printed.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const call = {
  node: '/opt/node',
  program: '/opt/cli.js',
  args: ['train', '--out', 'runs/a'],
  folder: '/home/me',
};

describe('a batch script for Slurm', () => {
  it('asks for what was asked for', () => {
    const request: SlurmRequest = {
      ...slurmDefaults,
      ...{ nodes: 2, tasksPerNode: 4, cpusPerTask: 8, gpusPerTask: 1, memory: '64G', time: '2-00:00:00' },
      ...{ partition: 'gpu', account: 'lab', qos: 'long', mpi: 'pmix', warning: 300 },
      ...{ setup: ['module load openmpi'], sbatch: ['--constraint=a100&nvlink'] },
    };
    const lines = batchScript(request, call, '/data/runs/a').split('\n');
    assert.deepEqual(
      lines.filter(line => line.startsWith('#SBATCH')).map(line => line.slice(8)),
      [
        ...['--job-name=clipself-a', '--nodes=2', '--ntasks-per-node=4', '--cpus-per-task=8'],
        ...['--gpus-per-task=1', '--mem=64G', '--time=2-00:00:00', '--partition=gpu', '--account=lab'],
        ...['--qos=long', '--requeue', '--signal=B:USR1@300', '--output=/dev/null'],
        '--constraint=a100&nvlink',
      ],
    );
    assert.ok(lines.includes('module load openmpi'));
    assert.ok(
      lines.includes(
        'srun --kill-on-bad-exit=1 --mpi=pmix /opt/node /opt/cli.js train --out runs/a --json </dev/null >"$outcome" &',
      ),
    );
    const byMpirun = batchScript({ ...request, launcher: 'mpirun' }, call, '/data/runs/a');
    assert.match(byMpirun, /^mpirun --bind-to none \/opt\/node/m);
  });

  it('gives the shell every word as it is, and Slurm no word of the user', function () {
    // The words are read back by a POSIX shell.
    if (process.platform === 'win32') skipBecause(this, 'Slurm runs on Unix alone');
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: 'grapheme' }).filter(text => !text.includes('\0') && !text.includes('\r')),
          {
            minLength: 1,
            maxLength: 4,
          },
        ),
        words => {
          const run = `/tmp/${words[0]!.replaceAll('/', '|')}x`;
          const script = batchScript(slurmDefaults, { ...call, node: '/bin/echo', args: words }, run);
          const directives = script.split('\n').filter(line => line.startsWith('#SBATCH'));
          assert.equal(directives.length, 6);
          for (const line of directives) assert.match(line, /^#SBATCH --[\w.=:@/-]+$/);
          const started = script.indexOf('\nsrun ') + 1;
          const command = script.slice(started, script.indexOf(' </dev/null', started));
          const seen = execFileSync('bash', ['-c', `srun() { printf '%s\\0' "$@"; }; ${command}`], {
            encoding: 'utf8',
          });
          assert.deepEqual(seen.split('\0').slice(1, -1), ['/bin/echo', call.program, ...words, '--json']);
          execFileSync('bash', ['-n'], { input: script });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('refuses what would say something else to Slurm or the shell', () => {
    const wrong: [Partial<SlurmRequest>, string][] = [
      [{ nodes: 0 }, 'nodes'],
      [{ tasksPerNode: 1.5 }, 'tasksPerNode'],
      [{ time: '12 hours' }, 'time'],
      [{ time: '1:00\n#SBATCH --uid=0' }, 'time'],
      [{ partition: 'a b' }, 'partition'],
      [{ account: '$(id)' }, 'account'],
      [{ memory: '64 G' }, 'memory'],
      [{ warning: 5 }, 'warning'],
      [{ launcher: 'sh' as 'srun' }, 'launcher'],
      [{ mpi: 'pmix;id' }, 'mpi'],
      [{ setup: ['a\nb'] }, 'setup'],
      [{ sbatch: ['constraint'] }, 'sbatch'],
    ];
    for (const [change, name] of wrong) {
      assert.equal(requestProblem({ ...slurmDefaults, ...change })?.name, name);
      assert.throws(() => batchScript({ ...slurmDefaults, ...change }, call, '/a'), RangeError);
    }
    for (const time of ['90', '1:30', '12:00:00', '2-00', '2-00:30:00'])
      assert.equal(requestProblem({ ...slurmDefaults, time }), null);
  });
});

describe('clipself slurm', () => {
  let folder: TemporaryFolder;
  const path_ = process.env.PATH;
  before(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => {
    process.env.PATH = path_;
  });
  after(() => folder.remove());

  const training = (run: string) => [
    '--',
    '--model',
    'm.pt',
    '--images',
    'photos',
    '--out',
    folder.file(run),
  ];
  /** Programs in place of Slurm's, for what a cluster does when it fails. */
  const withPrograms = async (programs: Readonly<Record<string, string>>): Promise<void> => {
    const bin = folder.file(`bin-${Object.keys(programs).join('-')}-${Math.random()}`);
    await mkdir(bin);
    for (const [name, body] of Object.entries(programs)) {
      await writeFile(path.join(bin, name), `#!/bin/sh\n${body}\n`);
      await chmod(path.join(bin, name), 0o755);
    }
    process.env.PATH = `${bin}:/usr/bin:/bin`;
  };

  it('writes the script beside the run', async () => {
    const line = await printed(() => slurmCommand(['--time', '60', '--json', ...training('a run')]));
    const { script, job, directory } = JSON.parse(line);
    assert.deepEqual([script, job, directory], [folder.file('a run.sbatch'), null, folder.file('a run')]);
    assert.match(await readFile(script, 'utf8'), /#SBATCH --time=60\n/);
  });

  it('says what is wrong with the command', async () => {
    await assert.rejects(slurmCommand(['--nodes', '2']), /options of clipself train after '--'/);
    await assert.rejects(slurmCommand(['--', '--model', 'm']), /train needs --model, --images and --out/);
    await assert.rejects(
      slurmCommand(['--nodes', 'two', ...training('b')]),
      /--nodes takes a whole number from 1; got 'two'/,
    );
    await assert.rejects(
      slurmCommand(['--mem', 'lots', ...training('b')]),
      /--mem takes a number with a unit/,
    );
  });

  it('tells in one sentence what Slurm refuses', async function () {
    if (process.platform === 'win32') skipBecause(this, 'Slurm runs on Unix alone');
    process.env.PATH = folder.path;
    await assert.rejects(
      submitJob('a.sbatch', folder.file('a')),
      /^SlurmError: sbatch is not there: Slurm’s programs are needed/,
    );
    await assert.rejects(readQueue(), /^SlurmError: squeue is not there/);
    const refusal = 'sbatch: error: Batch job submission failed: Invalid account';
    await withPrograms({
      sbatch: `echo '${refusal}' >&2; exit 1`,
      squeue:
        "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1",
      scancel: "echo 'scancel: error: Kill job error on job id 7: Invalid job id specified' >&2; exit 1",
    });
    await assert.rejects(
      submitJob('a.sbatch', folder.file('a')),
      /^SlurmError: the job was refused: Batch job submission failed: Invalid account$/,
    );
    await assert.rejects(
      readQueue(),
      /the queue could not be asked: slurm_load_jobs error: Unable to contact/,
    );
    await assert.rejects(cancelJob(7), /job 7 could not be cancelled: Kill job error/);
    await assert.rejects(stopJob(7), /job 7 could not be told to stop: /);
    await withPrograms({
      sbatch: 'echo welcome to the cluster',
      squeue: "printf '7|RUNNING|None|n1\\n8|WEIRD\\nx|y\\n9|FAILED|None|\\n'",
    });
    await assert.rejects(submitJob('a.sbatch', folder.file('a')), /sbatch answered 'welcome to the cluster'/);
    assert.deepEqual(
      [...(await readQueue()).values()],
      [
        { job: 7, state: 'RUNNING', reason: '', nodes: 'n1' },
        { job: 8, state: 'WEIRD', reason: '', nodes: '' },
      ],
    );
  });

  it('notes the job where it belongs, and believes no note from elsewhere', async function () {
    if (process.platform === 'win32') skipBecause(this, 'Slurm runs on Unix alone');
    await withPrograms({ sbatch: "echo '123;cluster'" });
    const run = folder.file('noted');
    const record = await submitJob('a.sbatch', run);
    const file = jobFilesOf(run).record;
    assert.deepEqual(await readJobRecord(file), record);
    assert.deepEqual([record.job, record.run], [123, run]);
    for (const change of [{ run: '/elsewhere' }, { job: 0 }, { job: '5; id' }, { schema: 2 }]) {
      await writeFile(file, JSON.stringify({ ...record, ...change }));
      assert.equal(await readJobRecord(file), null);
    }
    assert.equal(await readJobRecord(folder.file('missing')), null);
  });
});
