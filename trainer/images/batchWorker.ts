/** Worker thread that builds training batches. Started by `batchLoader.ts`; ends on its own when told to stop. */

import { parentPort, workerData } from 'node:worker_threads';
import { batchOf } from '../distill/sampler.ts';
import { serveItems } from './aheadWorker.ts';
import { buildBatch, type TrainingBatch } from './batch.ts';
import type { LoaderSettings } from './batchLoader.ts';

const settings = workerData as LoaderSettings;

serveItems<null, TrainingBatch>(
  parentPort,
  step => buildBatch({ ...settings, ...batchOf(step, settings.batch, settings.files.length) }),
  ({ images, crops, pooling, wholes }) =>
    [images, crops, pooling, wholes].map(tensor => tensor.buffer as ArrayBuffer),
);
