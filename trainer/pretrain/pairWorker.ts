/** A worker thread that renders the pairs of training steps. Started by `pairLoader.ts`; ends on its own when told to stop. */

import { parentPort, workerData } from 'node:worker_threads';
import { serveItems } from '../images/aheadWorker.ts';
import { buildCropBatch, type CropBatch } from './pairCrops.ts';
import type { PairWorkerData } from './pairLoader.ts';

const { settings, sprites } = workerData as PairWorkerData;

serveItems<null, CropBatch>(
  parentPort,
  step => buildCropBatch(settings, sprites, step),
  ({ pixels, labels, prompts }) => [pixels, labels, prompts].map(tensor => tensor.buffer as ArrayBuffer),
);
