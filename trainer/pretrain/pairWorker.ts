/** Worker thread that renders the pairs of training steps. Started by `pairLoader.ts`; ends on its own when told to stop. */

import { parentPort, workerData } from 'node:worker_threads';
import { serveItems } from '../images/aheadWorker.ts';
import { buildCropBatch, type CropBatch, type CropSettings } from './pairCrops.ts';

const settings = workerData as CropSettings;

serveItems<null, CropBatch>(
  parentPort,
  step => buildCropBatch(settings, step),
  ({ pixels, labels, prompts }) => [pixels, labels, prompts].map(tensor => tensor.buffer as ArrayBuffer),
);
