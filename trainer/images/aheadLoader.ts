/** Builds items ahead on worker threads, so that decoding and cropping overlap the forward passes. */

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
// The native library must stay loaded in the main thread: it cannot be loaded again after a worker has ended.
import 'sharp';
import type { LoaderReply, LoaderRequest } from './aheadMessages.ts';

export interface AheadLoaderOptions<Task, Item> {
  /** The worker's program, which calls `serveItems`; see `workerProgram`. */
  program: URL;
  /** `workerData` of the worker, or of each by its number. */
  settings: unknown | ((thread: number) => unknown);
  /** Worker threads, among which items are dealt in turn; 1 by default. */
  threads?: number | undefined;
  /** What the worker is told of an item. */
  taskOf: (index: number) => Task;
  /** Memory of an item that its worker can use again; none by default. */
  memoryOf?: (item: Item) => SharedArrayBuffer[];
  /** Items built ahead of the one asked for; one more than there are threads by default. */
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

/** Starts a worker's program with `settings` as its `workerData`. */
export function startWorker(program: URL, settings: unknown): Worker {
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

function ended(worker: Worker): Promise<void> {
  // A thread that has exited has the id -1.
  if (worker.threadId === -1) return Promise.resolve();
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
  readonly #taskOf: (index: number) => Task;
  readonly #memoryOf: (item: Item) => SharedArrayBuffer[];
  readonly #ahead: number;
  readonly #total: number;
  readonly #pending = new Map<number, PendingItem<Item>>();
  #waiting = 0;
  #failure: Error | null = null;

  constructor({
    program,
    settings,
    taskOf,
    memoryOf = () => [],
    threads = 1,
    ahead = threads + 1,
    total = Number.POSITIVE_INFINITY,
  }: AheadLoaderOptions<Task, Item>) {
    this.#taskOf = taskOf;
    this.#memoryOf = memoryOf;
    this.#ahead = ahead;
    this.#total = total;
    this.#workers = Array.from({ length: threads }, (_, thread) =>
      this.#start(program, typeof settings === 'function' ? settings(thread) : settings),
    );
  }

  #start(program: URL, settings: unknown): Worker {
    const worker = startWorker(program, settings);
    worker.on('message', (reply: LoaderReply<Item>) => this.#receive(reply));
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
        for (const earlier of this.#pending.keys()) if (earlier < index) this.#passOver(earlier);
      }
    }
  }

  #passOver(index: number): void {
    const { promise } = this.#pending.get(index)!;
    this.#pending.delete(index);
    // Where it is still to come, nobody waits for it then.
    promise.then(
      item => this.giveBack(index, item),
      () => {},
    );
  }

  /** Hands the memory of an item to the thread that built it, for a later one. The item must not be used any more. */
  giveBack(index: number, item: Item): void {
    const buffers = this.#memoryOf(item);
    if (this.#failure === null && buffers.length > 0)
      this.#post(this.#workerOf(index), { kind: 'memory', buffers });
  }

  /** Ends each worker after the item it is working on. Items not yet delivered are rejected. */
  async dispose(): Promise<void> {
    if (this.#failure === null) {
      this.#fail('The image loader has been disposed of');
      for (const worker of this.#workers) {
        worker.ref();
        this.#post(worker, { kind: 'stop' });
      }
    }
    await Promise.all(this.#workers.map(ended));
  }

  #request(index: number): PendingItem<Item> {
    const known = this.#pending.get(index);
    if (known !== undefined) return known;
    const pending = pendingItem<Item>();
    this.#pending.set(index, pending);
    this.#post(this.#workerOf(index), { kind: 'build', index, task: this.#taskOf(index) });
    return pending;
  }

  #workerOf(index: number): Worker {
    return this.#workers[index % this.#workers.length]!;
  }

  #post(worker: Worker, request: LoaderRequest<Task>): void {
    worker.postMessage(request);
  }

  #receive(reply: LoaderReply<Item>): void {
    const pending = this.#pending.get(reply.index);
    if (reply.kind === 'failed') pending?.reject(new Error(reply.message));
    else if (pending) pending.resolve(reply.item);
    else this.giveBack(reply.index, reply.item);
  }

  #fail(message: string): void {
    if (this.#failure !== null) return;
    this.#failure = new Error(message);
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
  }
}
