/** Slurm's own programs: handing in jobs, looking at the queue, taking jobs back. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { isJsonObject, readJson, writeJson } from '../checkpoints/jsonFile.ts';
import { jobFilesOf } from './batchScript.ts';

/** Slurm refused or could not be asked; one sentence for the user. */
export class SlurmError extends Error {
  override readonly name = 'SlurmError';
}

/** `<run>.slurm.json`: which job trains, or waits to train, into a run directory. */
export interface JobRecord {
  schema: 1;
  job: number;
  /** Run directory, absolute. */
  run: string;
  /** ISO 8601. */
  submitted: string;
}

/** A job as the queue shows it. */
export interface QueuedJob {
  job: number;
  /** As Slurm calls it, such as PENDING or RUNNING. */
  state: string;
  /** Why it waits, such as Priority; empty where there is no reason. */
  reason: string;
  /** Machines that it has. */
  nodes: string;
}

/** Milliseconds that a program of Slurm may take: a controller that is down is noticed late. */
const patience = 30_000;

/** @throws SlurmError when the program is missing, takes too long or fails. */
function slurm(program: string, args: readonly string[], did: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: patience }, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else if (error.code === ('ENOENT' as unknown))
        reject(
          new SlurmError(
            `${program} is not there: Slurm’s programs are needed on this machine, such as a login node of the cluster`,
          ),
        );
      else if (error.killed)
        reject(new SlurmError(`${did}: ${program} gave no answer in ${patience / 1000} s`));
      else reject(new SlurmError(`${did}: ${reasonOf(program, stderr) ?? error.message}`));
    });
  });
}

/** The last thing a program says is why it failed; its name in front is left out. */
function reasonOf(program: string, stderr: string): string | null {
  const lines = stderr.split(/\r?\n/).map(line => line.trim());
  const last = lines.filter(line => line !== '').at(-1);
  return last?.replace(new RegExp(`^${program}: (?:error: |fatal: )?`), '') ?? null;
}

/**
 * Hands in a script and notes the job beside the run.
 *
 * @throws SlurmError when there is no sbatch or the job is refused.
 */
export async function submitJob(script: string, run: string): Promise<JobRecord> {
  const answer = await slurm('sbatch', ['--parsable', script], 'the job was refused');
  // With several clusters the name of one follows.
  const job = Number(answer.trim().split(';')[0]);
  if (!Number.isSafeInteger(job) || job < 1)
    throw new SlurmError(`sbatch answered '${answer.trim()}' instead of the number of a job`);
  const record: JobRecord = { schema: 1, job, run: path.resolve(run), submitted: new Date().toISOString() };
  await writeJson(jobFilesOf(run).record, record);
  return record;
}

/** The job noted in a file; null when there is none, or it is of another folder. */
export async function readJobRecord(file: string): Promise<JobRecord | null> {
  const content = await readJson(file, 1 << 16).catch(() => null);
  if (!isJsonObject(content) || content.schema !== 1) return null;
  const { job, run, submitted } = content;
  if (!Number.isSafeInteger(job) || (job as number) < 1) return null;
  if (typeof run !== 'string' || typeof submitted !== 'string') return null;
  if (jobFilesOf(run).record !== path.resolve(file)) return null;
  return { schema: 1, job: job as number, run, submitted };
}

/**
 * The user's own jobs in the queue, by number; those that have ended are not there.
 *
 * @throws SlurmError when the queue cannot be asked.
 */
export async function readQueue(): Promise<Map<number, QueuedJob>> {
  const format = '%i|%T|%r|%N';
  const args = ['--me', '--noheader', '--states=all', `--format=${format}`];
  const answer = await slurm('squeue', args, 'the queue could not be asked');
  const jobs = new Map<number, QueuedJob>();
  for (const line of answer.split('\n')) {
    const [id, state, reason, nodes] = line.trim().split('|');
    const job = Number(id);
    if (!Number.isSafeInteger(job) || job < 1 || !state || endedStates.has(state)) continue;
    jobs.set(job, { job, state, reason: reason === 'None' ? '' : (reason ?? ''), nodes: nodes ?? '' });
  }
  return jobs;
}

/** Jobs that Slurm still remembers, but that will not run again. */
const endedStates: ReadonlySet<string> = new Set([
  ...['BOOT_FAIL', 'CANCELLED', 'COMPLETED', 'DEADLINE', 'FAILED', 'NODE_FAIL', 'OUT_OF_MEMORY', 'TIMEOUT'],
  ...['PREEMPTED', 'REVOKED'],
]);

/** Takes a job out of the queue, or ends it: the trainer gets SIGTERM, saves and stops. */
export const cancelJob = async (job: number): Promise<void> => {
  await slurm('scancel', [String(job)], `job ${job} could not be cancelled`);
};

/** Asks the trainer of a running job to save and stop; the job then ends and is not queued again. */
export const stopJob = async (job: number): Promise<void> => {
  await slurm('scancel', ['--signal=USR2', String(job)], `job ${job} could not be told to stop`);
};
