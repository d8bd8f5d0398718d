/** Worker thread that builds training batches. Started by `batchLoader.ts`; ends on its own when told to stop. */

import { parentPort, workerData } from 'node:worker_threads';
import { batchOf, shareOf } from '../distill/sampler.ts';
import { serveItems } from './aheadWorker.ts';
import { buildBatch, type TrainingBatch } from './batch.ts';
import type { LoaderSettings } from './batchLoader.ts';

const settings = workerData as LoaderSettings;
const { share = { rank: 0, ranks: 1 } } = settings;

serveItems<null, TrainingBatch>(
  parentPort,
  step =>
    buildBatch({ ...settings, ...shareOf(batchOf(step, settings.batch, settings.files.length), share) }),
  ({ images, crops, pooling, wholes }) =>
    [images, crops, pooling, wholes].map(tensor => tensor.buffer as ArrayBuffer),
);
