import type { Worker } from 'node:worker_threads';
import { startWorker, workerProgram } from '../images/aheadLoader.ts';
import type { Launch } from './launcher.ts';
import { type MpiArray, MpiError } from './mpiLibrary.ts';
import type { MpiReply, MpiRequest, MpiThreadSettings } from './mpiMessages.ts';
import type { World } from './world.ts';

/** How long the thread may take to end the job before this process ends itself, which ends the job as well. */
const abortPatienceMs = 5000;

interface Waiting {
  resolve(array: MpiArray): void;
  reject(error: Error): void;
}

/**
 * UCX, which MPICH and Open MPI send through, watches memory by replacing the system's calls: seen to crash Node, whose
 * heap grows and shrinks all the time. Its variables are read when the library is loaded, and only the main thread
 * can set them for that.
 */
function leaveMemoryAlone(): void {
  process.env.UCX_MEM_EVENTS ??= 'n';
  process.env.UCX_MEM_MMAP_HOOK_MODE ??= 'none';
}

/** This process among those that a launcher started, joined by MPI. */
export class MpiWorld implements World {
  readonly rank: number;
  readonly size: number;
  readonly description: string;
  busySeconds = 0;
  readonly #worker: Worker;
  readonly #abort: Int32Array;
  readonly #waiting: Waiting[] = [];
  #finalised: (() => void) | null = null;
  #failure: Error | null = null;

  /** @throws MpiError when MPI cannot be used here. */
  static async join(launch: Launch): Promise<MpiWorld> {
    const abort = new SharedArrayBuffer(4);
    const settings: MpiThreadSettings = { launch, abort };
    leaveMemoryAlone();
    const worker = startWorker(workerProgram('mpiWorker', import.meta.url), settings);
    const first = await new Promise<MpiReply>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', error => reject(new MpiError(`MPI could not be started: ${error.message}`)));
      worker.once('exit', () => reject(new MpiError('MPI ended while it was being started')));
    });
    if (first.kind === 'ready') return new MpiWorld(worker, abort, first);
    throw new MpiError(first.kind === 'failed' ? first.message : 'MPI could not be started');
  }

  private constructor(
    worker: Worker,
    abort: SharedArrayBuffer,
    { rank, size, version }: Extract<MpiReply, { kind: 'ready' }>,
  ) {
    this.#worker = worker;
    this.#abort = new Int32Array(abort);
    this.rank = rank;
    this.size = size;
    this.description = `rank ${rank} of ${size} by ${version}`;
    worker.on('message', (reply: MpiReply) => this.#receive(reply));
    worker.on('error', error => this.#fail(new MpiError(`MPI failed: ${error.message}`)));
    worker.on('exit', () => this.#fail(new MpiError('MPI has ended')));
  }

  sum<Numbers extends Float32Array | Float64Array>(array: Numbers, count = array.length): Promise<Numbers> {
    return this.#ask({ kind: 'sum', array, count }) as Promise<Numbers>;
  }

  broadcast(array: Uint8Array, root: number): Promise<Uint8Array> {
    return this.#ask({ kind: 'broadcast', array, root }) as Promise<Uint8Array>;
  }

  /** Leaves together with all other ranks: waits until they do so too. */
  async finish(): Promise<void> {
    if (this.#failure) throw this.#failure;
    await new Promise<void>(resolve => {
      this.#finalised = resolve;
      this.#post({ kind: 'finalise' });
    });
  }

  /** Ends every process of the job, this one among them, with status 1. */
  async abort(): Promise<never> {
    Atomics.store(this.#abort, 0, 1);
    // Wakes a thread that waits for no rank.
    this.#post({ kind: 'sum', array: new Float64Array(1), count: 1 });
    await new Promise(resolve => setTimeout(resolve, abortPatienceMs));
    process.exit(1);
  }

  #ask(request: Extract<MpiRequest, { array: MpiArray }>): Promise<MpiArray> {
    if (this.#failure) return Promise.reject(this.#failure);
    const answer = new Promise<MpiArray>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#post(request);
    return answer;
  }

  #post(request: MpiRequest): void {
    this.#worker.postMessage(request, 'array' in request ? [request.array.buffer as ArrayBuffer] : []);
  }

  #receive(reply: MpiReply): void {
    if (reply.kind === 'finalised') this.#finalised?.();
    if (reply.kind !== 'done') return;
    this.busySeconds += reply.seconds;
    this.#waiting.shift()?.resolve(reply.array);
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
