/** Builds items ahead on worker threads, so that decoding and cropping overlap the forward passes. */

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
// The native library must stay loaded in the main thread: it cannot be loaded again after a worker has ended.
import 'sharp';
import type { LoaderReply, LoaderRequest } from './aheadMessages.ts';

export interface AheadLoaderOptions<Task> {
  /** The worker's program, which calls `serveItems`; see `workerProgram`. */
  program: URL;
  /** `workerData` of every worker. */
  settings: unknown;
  /** What a worker is told of an item. */
  taskOf: (index: number) => Task;
  /** Threads; 1 by default. */
  workers?: number | undefined;
  /** Items built ahead of the one asked for; 2 for each worker by default. */
  ahead?: number | undefined;
  /** Number of items; nothing is built at or beyond it. */
  total?: number | undefined;
}

/**
 * Where a worker's program is: beside the module as source, or beside the bundle.
 *
 * @param name Path of the source below the caller's folder, without its extension.
 * @param caller `import.meta.url` of the module that asks.
 */
export function workerProgram(name: string, caller: string): URL {
  return new URL(caller.endsWith('.ts') ? `./${name}.ts` : `./${name}.js`, caller);
}

/** How long a worker may finish the item it is working on before it is ended. */
const stopPatienceMs = 5000;

interface PendingItem<Item> {
  promise: Promise<Item>;
  resolve(item: Item): void;
  reject(error: Error): void;
}

function pendingItem<Item>(): PendingItem<Item> {
  let resolve: PendingItem<Item>['resolve'] = () => {};
  let reject: PendingItem<Item>['reject'] = () => {};
  const promise = new Promise<Item>((onItem, onError) => {
    resolve = onItem;
    reject = onError;
  });
  // An item built ahead may fail before anyone asks for it; whoever asks still gets the error.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

function startWorker(program: URL, settings: unknown): Worker {
  if (!program.pathname.endsWith('.ts')) return new Worker(program, { workerData: settings });
  return new Worker(sourceBootstrap(program), { workerData: settings, eval: true, execArgv: [] });
}

/** Runs a worker from its TypeScript source: Node 20 ignores loaders given for the entry of a thread. */
function sourceBootstrap(program: URL): string {
  const tsx = createRequire(import.meta.url).resolve('tsx/package.json');
  const loader = new URL('./dist/esm/api/index.mjs', pathToFileURL(tsx)).href;
  return `import(${JSON.stringify(loader)}).then(tsx => {
    tsx.register();
    return import(${JSON.stringify(program.href)});
  });`;
}

/** Ends a worker after the item it is working on. */
function stopWorker(worker: Worker): Promise<void> {
  // A thread that has exited has the id -1.
  if (worker.threadId === -1) return Promise.resolve();
  worker.ref();
  const request: LoaderRequest<never> = { kind: 'stop' };
  worker.postMessage(request);
  return new Promise(resolve => {
    const timer = setTimeout(() => void worker.terminate(), stopPatienceMs);
    worker.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Items count from 0 and may be asked for in any order. Dispose of the loader when done. */
export class AheadLoader<Task, Item> {
  readonly #workers: readonly Worker[];
  /** Items that each worker has been asked for and has not built yet. */
  readonly #load: number[];
  readonly #taskOf: (index: number) => Task;
  readonly #ahead: number;
  readonly #total: number;
  readonly #pending = new Map<number, PendingItem<Item>>();
  #waiting = 0;
  #failure: Error | null = null;

  constructor({
    program,
    settings,
    taskOf,
    workers = 1,
    ahead = 2 * workers,
    total = Number.POSITIVE_INFINITY,
  }: AheadLoaderOptions<Task>) {
    this.#taskOf = taskOf;
    this.#ahead = ahead;
    this.#total = total;
    this.#load = Array.from({ length: workers }, () => 0);
    this.#workers = this.#load.map((_, number) => this.#start(number, program, settings));
  }

  #start(number: number, program: URL, settings: unknown): Worker {
    const worker = startWorker(program, settings);
    worker.on('message', (reply: LoaderReply<Item>) => this.#receive(number, reply));
    worker.on('error', error => this.#fail(`The image loader failed: ${error.message}`));
    worker.on('exit', () => this.#fail('The image loader has ended'));
    // An idle loader does not keep the process alive.
    worker.unref();
    return worker;
  }

  /** The item at `index`; also starts building the ones after it. */
  async next(index: number): Promise<Item> {
    if (this.#failure !== null) throw this.#failure;
    const wanted = this.#request(index);
    for (let later = index + 1; later <= index + this.#ahead && later < this.#total; later++) {
      this.#request(later);
    }
    return this.#deliver(index, wanted);
  }

  /** Keeps the process alive while someone waits, and forgets items that were passed over. */
  async #deliver(index: number, wanted: PendingItem<Item>): Promise<Item> {
    if (this.#waiting++ === 0) for (const worker of this.#workers) worker.ref();
    try {
      return await wanted.promise;
    } finally {
      this.#pending.delete(index);
      if (--this.#waiting === 0) {
        for (const worker of this.#workers) worker.unref();
        for (const earlier of this.#pending.keys()) if (earlier < index) this.#pending.delete(earlier);
      }
    }
  }

  /** Ends every worker after the item it is working on. Items not yet delivered are rejected. */
  async dispose(): Promise<void> {
    this.#fail('The image loader has been disposed of');
    await Promise.all(this.#workers.map(stopWorker));
  }

  #request(index: number): PendingItem<Item> {
    const known = this.#pending.get(index);
    if (known !== undefined) return known;
    const worker = this.#load.indexOf(Math.min(...this.#load));
    const pending = pendingItem<Item>();
    this.#pending.set(index, pending);
    this.#load[worker]!++;
    const request: LoaderRequest<Task> = { kind: 'build', index, task: this.#taskOf(index) };
    this.#workers[worker]!.postMessage(request);
    return pending;
  }

  #receive(worker: number, reply: LoaderReply<Item>): void {
    this.#load[worker]!--;
    const pending = this.#pending.get(reply.index);
    if (reply.kind === 'item') pending?.resolve(reply.item);
    else pending?.reject(new Error(reply.message));
  }

  #fail(message: string): void {
    if (this.#failure !== null) return;
    this.#failure = new Error(message);
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
  }
}
