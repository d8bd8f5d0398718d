/** Worker thread that prepares the regions of images. Started by `evaluateRegions`; ends on its own when told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { serveItems } from '../images/aheadWorker.ts';
import { type PreparationSettings, type PreparedImage, prepareRegions } from './prepareRegions.ts';
import type { AnnotatedImage } from './regionData.ts';

const settings = workerData as PreparationSettings;

serveItems<AnnotatedImage, PreparedImage>(
  parentPort,
  (_, image) => prepareRegions(image, settings),
  ({ crops, sizes }) =>
    [crops, ...sizes.flatMap(({ pixels, boxRows, maskRows }) => [pixels, boxRows, maskRows])].map(
      tensor => tensor.buffer as ArrayBuffer,
    ),
);
