import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { jobRecordEnd } from '../trainer/slurm/batchScript.ts';
import { type JobRecord, type QueuedJob, readJobRecord } from '../trainer/slurm/queue.ts';
import { type Disposable, Emitter } from './emitter.ts';

/** A job that is in the queue, as far as is known: it waits, trains, or was put back. */
export interface SlurmJob {
  job: number;
  /** Run directory, which need not be there yet. */
  directory: string;
  /** As Slurm calls it; null until the queue has been asked. */
  state: string | null;
  reason: string;
  nodes: string;
  /** The queue did not answer the last time: what is shown is older. */
  isStale: boolean;
}

/** What following jobs needs of the world. */
export interface QueueSource {
  /** @throws Error with one sentence when the queue cannot be asked. */
  readQueue(): Promise<ReadonlyMap<number, QueuedJob>>;
  /** Milliseconds, rising. */
  now(): number;
}

/** Slurm's administrators ask for no more: milliseconds between two questions to the queue. */
export const queueInterval = 30_000;
/** A job that was just handed in is asked for soon, if the queue was not asked lately. */
const firstLook = 3000;

/**
 * The jobs of this workspace's runs, found by the records beside the run directories. The queue is asked at most every
 * 30 seconds, with one question for all jobs, and not at all while there are none; what a run does in between shows in its
 * directory.
 */
export class SlurmJobs implements Disposable {
  readonly #source: QueueSource;
  readonly #tellProblem: (message: string) => void;
  readonly #changes = new Emitter<readonly SlurmJob[]>();
  readonly #ends = new Emitter<SlurmJob>();
  readonly #jobs = new Map<number, SlurmJob>();
  /** Numbers of jobs that have left the queue: they do not come back. */
  readonly #ended = new Set<number>();
  #folders: string[] = [];
  #asked = Number.NEGATIVE_INFINITY;
  #problem: string | null = null;
  #timer: NodeJS.Timeout | null = null;
  #busy = false;
  #disposed = false;

  readonly onDidChange = this.#changes.event;
  /** A job has left the queue: it ended, was cancelled or failed. */
  readonly onDidEnd = this.#ends.event;

  /** @param tellProblem Told once when the queue stops answering, not again until it has answered. */
  constructor(source: QueueSource, tellProblem: (message: string) => void) {
    this.#source = source;
    this.#tellProblem = tellProblem;
  }

  get jobs(): readonly SlurmJob[] {
    return [...this.#jobs.values()];
  }

  /** The job that is in the queue for a run; undefined when there is none. */
  of(directory: string): SlurmJob | undefined {
    return this.jobs.find(job => job.directory === directory);
  }

  /** Looks for records of jobs in these folders from now on. */
  async watch(folders: readonly string[]): Promise<void> {
    this.#folders = [...folders];
    await this.#search();
    this.#schedule(0);
  }

  /** A job that was handed in just now. */
  add({ job, run }: JobRecord): void {
    this.#enter(job, run, 'PENDING');
    this.#changes.fire(this.jobs);
    this.#schedule(firstLook);
  }

  /** Looks for new records, and asks the queue again as soon as it may be asked. */
  async refresh(): Promise<void> {
    await this.#search();
    this.#schedule(0);
  }

  #enter(job: number, directory: string, state: string | null): void {
    if (this.#jobs.has(job) || this.#ended.has(job)) return;
    this.#jobs.set(job, { job, directory, state, reason: '', nodes: '', isStale: false });
  }

  async #search(): Promise<void> {
    for (const folder of this.#folders) {
      const names = await readdir(folder).catch(() => [] as string[]);
      for (const name of names.filter(each => each.endsWith(jobRecordEnd))) {
        const record = await readJobRecord(path.join(folder, name));
        if (record !== null) this.#enter(record.job, record.run, null);
      }
    }
  }

  #schedule(wish: number): void {
    if (this.#disposed || this.#jobs.size === 0) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const wait = Math.max(wish, this.#asked + queueInterval - this.#source.now());
    this.#timer = setTimeout(() => void this.#ask(), wait);
    this.#timer.unref();
  }

  async #ask(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    this.#asked = this.#source.now();
    // Jobs that are handed in meanwhile are not in the answer.
    const asked = [...this.#jobs.values()];
    try {
      const queue = await this.#source.readQueue();
      this.#problem = null;
      for (const job of asked) this.#update(job, queue.get(job.job));
    } catch (error) {
      this.#fail(error, asked);
    } finally {
      this.#busy = false;
    }
    if (this.#disposed) return;
    this.#changes.fire(this.jobs);
    await this.#search();
    this.#schedule(queueInterval);
  }

  #update(job: SlurmJob, queued: QueuedJob | undefined): void {
    if (queued !== undefined) {
      const { state, reason, nodes } = queued;
      this.#jobs.set(job.job, { ...job, state, reason, nodes, isStale: false });
      return;
    }
    this.#jobs.delete(job.job);
    this.#ended.add(job.job);
    // Records of earlier sessions are no news.
    if (job.state !== null) this.#ends.fire(job);
  }

  #fail(error: unknown, asked: readonly SlurmJob[]): void {
    for (const job of asked) this.#jobs.set(job.job, { ...job, isStale: true });
    const message = error instanceof Error ? error.message : String(error);
    if (this.#problem === null) this.#tellProblem(message);
    this.#problem = message;
  }

  dispose(): void {
    this.#disposed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#changes.dispose();
    this.#ends.dispose();
  }
}

/** `job 12 pending (Priority)`, `job 12 running on n1`. */
export function describeJob({ job, state, reason, nodes, isStale }: SlurmJob): string {
  const words = state === null ? 'in the queue?' : state.toLowerCase().replaceAll('_', ' ');
  const why = reason === '' ? '' : ` (${reason})`;
  const where = nodes === '' ? '' : ` on ${nodes}`;
  return `job ${job} ${words}${where}${why}${isStale ? ', queue does not answer' : ''}`;
}
