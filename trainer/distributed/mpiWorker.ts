/**
 * The one thread of a trainer that calls MPI. Sums proceed here while the main thread is blocked in a forward or backward
 * pass; between looks the thread sleeps, since a library that waits by itself takes a whole core.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { MpiLibrary } from './mpiLibrary.ts';
import type { MpiReply, MpiRequest, MpiThreadSettings } from './mpiMessages.ts';

/** Looks before the first sleep. */
const eagerLooks = 50;
/** Milliseconds of a sleep; the longer one once somebody is far behind (saving, evaluating). */
const [shortSleep, longSleep] = [0.05, 1];
const longWait = 5000;

function serve(port: MessagePort, { launch, abort }: MpiThreadSettings): void {
  const reply = (message: MpiReply): void =>
    port.postMessage(message, message.kind === 'done' ? [message.array.buffer as ArrayBuffer] : []);
  let mpi: MpiLibrary;
  try {
    mpi = MpiLibrary.start(launch);
  } catch (error) {
    reply({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
    return;
  }
  const control = new Int32Array(abort);
  const asleep = new Int32Array(new SharedArrayBuffer(4));

  /** @returns seconds that it took. */
  const complete = (): number => {
    const started = performance.now();
    for (let looks = 0; !mpi.test(); looks++) {
      if (Atomics.load(control, 0) !== 0) mpi.abort();
      if (looks < eagerLooks) continue;
      Atomics.wait(asleep, 0, 0, performance.now() - started < longWait ? shortSleep : longSleep);
    }
    return (performance.now() - started) / 1000;
  };

  port.on('message', (request: MpiRequest) => {
    if (Atomics.load(control, 0) !== 0) mpi.abort();
    if (request.kind === 'finalise') {
      mpi.finalise();
      reply({ kind: 'finalised' });
      port.close();
      return;
    }
    const { array } = request;
    if (request.kind === 'sum') mpi.startSum(array, request.count);
    else mpi.startBroadcast(array, request.root);
    reply({ kind: 'done', array, seconds: complete() });
  });
  reply({ kind: 'ready', rank: mpi.rank, size: mpi.size, version: mpi.version });
}

if (parentPort === null) throw new Error('this program runs as a worker thread of the trainer only');
serve(parentPort, workerData as MpiThreadSettings);
