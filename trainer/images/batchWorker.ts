/** Worker thread that builds training batches. Started by `batchLoader.ts`; ends on its own when told to stop. */

import { parentPort, workerData } from 'node:worker_threads';
import { batchOf, shareOf, takerOf } from '../distill/sampler.ts';
import { serveItems } from './aheadWorker.ts';
import { buildBatch, type TakeImage, type TrainingBatch } from './batch.ts';
import type { LoaderSettings } from './batchLoader.ts';
import type { BufferPool } from './bufferPool.ts';
import { ShardStream } from './imageReader.ts';

const { thread, threads, settings } = workerData as {
  thread: number;
  threads: number;
  settings: LoaderSettings;
};
const { files, members, seed, batch, share = { rank: 0, ranks: 1 } } = settings;

/** Reads the images that come to this thread: those of its rank in every `threads`th step. */
const stream = members
  ? new ShardStream(files, members, seed, (epoch, position) => {
      const taker = takerOf(epoch, position, batch, files.length, share.ranks);
      return taker !== null && taker.rank === share.rank && taker.step % threads === thread;
    })
  : null;

/** Crops that this thread has given, where they are wanted once. */
const given = settings.keptRegions ? new Uint8Array(settings.keptRegions) : null;

function build(step: number, memory: BufferPool): Promise<TrainingBatch> {
  const place = shareOf(batchOf(step, batch, files.length), share);
  const take: TakeImage | undefined = stream ? position => stream.take(place.epoch, position) : undefined;
  return buildBatch({ ...settings, ...place }, take, memory, given);
}

serveItems<null, TrainingBatch>(
  parentPort,
  (step, _, memory) => build(step, memory),
  // Their memory is shared.
  () => [],
  () => stream?.close(),
);
