/** Worker thread that prepares whole images. Started by `retention.ts`; ends on its own when told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { serveItems } from '../images/aheadWorker.ts';
import { prepareWholeImage, type WholeImageSettings } from './wholeImages.ts';

const settings = workerData as WholeImageSettings;

serveItems<string, Float32Array | null>(
  parentPort,
  (_, file) => prepareWholeImage(file, settings),
  pixels => (pixels ? [pixels.buffer as ArrayBuffer] : []),
);
