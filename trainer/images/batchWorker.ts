/**
 * Worker thread that builds batches in the order they are asked for, while the main thread is blocked in native code.
 * Started by `batchLoader.ts`; ends on its own when told to stop.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { batchOf } from '../distill/sampler.ts';
import { buildBatch } from './batch.ts';
import type { LoaderReply, LoaderRequest, LoaderSettings } from './batchMessages.ts';

async function answer(settings: LoaderSettings, step: number): Promise<LoaderReply> {
  try {
    const place = batchOf(step, settings.batch, settings.files.length);
    return { kind: 'batch', step, batch: await buildBatch({ ...settings, ...place }) };
  } catch (error) {
    return { kind: 'failed', step, message: error instanceof Error ? error.message : String(error) };
  }
}

function buffersOf(reply: LoaderReply): ArrayBuffer[] {
  if (reply.kind === 'failed') return [];
  const { images, crops, pooling } = reply.batch;
  return [images, crops, pooling].map(tensor => tensor.buffer as ArrayBuffer);
}

function serve(port: NonNullable<typeof parentPort>, settings: LoaderSettings): void {
  let stopped = false;
  let work = Promise.resolve();
  port.on('message', (request: LoaderRequest) => {
    if (request.kind === 'stop') {
      stopped = true;
      port.close();
      return;
    }
    work = work.then(async () => {
      if (stopped) return;
      const reply = await answer(settings, request.step);
      port.postMessage(reply, buffersOf(reply));
    });
  });
}

if (parentPort === null) throw new Error('this program runs as a worker thread of the trainer only');
serve(parentPort, workerData as LoaderSettings);
