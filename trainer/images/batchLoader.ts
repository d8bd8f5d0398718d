/** Builds training batches ahead on a worker thread, so that decoding and cropping overlap the step. */

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
// The native library must stay loaded in the main thread: it cannot be loaded again after a worker has ended.
import 'sharp';
import type { TrainingBatch } from './batch.ts';
import type { LoaderReply, LoaderRequest, LoaderSettings } from './batchMessages.ts';

export interface BatchLoaderSettings extends LoaderSettings {
  /** Batches built ahead of the one asked for; 2 by default. */
  ahead?: number;
  /** Number of steps of the run; nothing is built at or beyond it. */
  totalSteps?: number;
}

/** How long a worker may finish the batch it is working on before it is ended. */
const stopPatienceMs = 5000;

interface PendingBatch {
  promise: Promise<TrainingBatch>;
  resolve(batch: TrainingBatch): void;
  reject(error: Error): void;
}

function pendingBatch(): PendingBatch {
  let resolve: PendingBatch['resolve'] = () => {};
  let reject: PendingBatch['reject'] = () => {};
  const promise = new Promise<TrainingBatch>((onBatch, onError) => {
    resolve = onBatch;
    reject = onError;
  });
  // A batch built ahead may fail before anyone asks for it; whoever asks still gets the error.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

function startWorker(settings: LoaderSettings): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL('./batchWorker.js', import.meta.url), { workerData: settings });
  }
  return new Worker(sourceBootstrap(), { workerData: settings, eval: true, execArgv: [] });
}

/** Runs the worker from its TypeScript source: Node 20 ignores loaders given for the entry of a thread. */
function sourceBootstrap(): string {
  const tsx = createRequire(import.meta.url).resolve('tsx/package.json');
  const loader = new URL('./dist/esm/api/index.mjs', pathToFileURL(tsx)).href;
  const entry = new URL('./batchWorker.ts', import.meta.url).href;
  return `import(${JSON.stringify(loader)}).then(tsx => {
    tsx.register();
    return import(${JSON.stringify(entry)});
  });`;
}

/**
 * Steps count from 0 and follow the sampler: the same settings give the same batches in whatever order and process
 * they are asked for. Dispose of the loader when done.
 */
export class BatchLoader {
  readonly #worker: Worker;
  readonly #ahead: number;
  readonly #totalSteps: number;
  readonly #pending = new Map<number, PendingBatch>();
  #waiting = 0;
  #failure: Error | null = null;

  constructor({ ahead = 2, totalSteps = Number.POSITIVE_INFINITY, ...settings }: BatchLoaderSettings) {
    this.#ahead = ahead;
    this.#totalSteps = totalSteps;
    this.#worker = startWorker(settings);
    this.#worker.on('message', (reply: LoaderReply) => this.#receive(reply));
    this.#worker.on('error', error => this.#fail(`The image loader failed: ${error.message}`));
    this.#worker.on('exit', () => this.#fail('The image loader has ended'));
    // An idle loader does not keep the process alive.
    this.#worker.unref();
  }

  /** The batch of a step; also starts building the ones after it. */
  async next(step: number): Promise<TrainingBatch> {
    if (this.#failure !== null) throw this.#failure;
    const wanted = this.#request(step);
    for (let later = step + 1; later <= step + this.#ahead && later < this.#totalSteps; later++) {
      this.#request(later);
    }
    return this.#deliver(step, wanted);
  }

  /** Keeps the process alive while someone waits, and forgets batches that were passed over. */
  async #deliver(step: number, wanted: PendingBatch): Promise<TrainingBatch> {
    if (this.#waiting++ === 0) this.#worker.ref();
    try {
      return await wanted.promise;
    } finally {
      this.#pending.delete(step);
      if (--this.#waiting === 0) {
        this.#worker.unref();
        for (const earlier of this.#pending.keys()) if (earlier < step) this.#pending.delete(earlier);
      }
    }
  }

  /** Ends the worker after the batch it is working on. Batches not yet delivered are rejected. */
  async dispose(): Promise<void> {
    if (this.#failure === null) {
      this.#fail('The image loader has been disposed of');
      this.#worker.ref();
      this.#post({ kind: 'stop' });
    }
    await this.#ended();
  }

  #ended(): Promise<void> {
    // A thread that has exited has the id -1.
    if (this.#worker.threadId === -1) return Promise.resolve();
    return new Promise(resolve => {
      const timer = setTimeout(() => void this.#worker.terminate(), stopPatienceMs);
      this.#worker.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #request(step: number): PendingBatch {
    const known = this.#pending.get(step);
    if (known !== undefined) return known;
    const pending = pendingBatch();
    this.#pending.set(step, pending);
    this.#post({ kind: 'build', step });
    return pending;
  }

  #post(request: LoaderRequest): void {
    this.#worker.postMessage(request);
  }

  #receive(reply: LoaderReply): void {
    const pending = this.#pending.get(reply.step);
    if (reply.kind === 'batch') pending?.resolve(reply.batch);
    else pending?.reject(new Error(reply.message));
  }

  #fail(message: string): void {
    if (this.#failure !== null) return;
    this.#failure = new Error(message);
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
  }
}
