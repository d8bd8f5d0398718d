/** Worker thread that proposes regions of images. Started by `proposals.ts`; ends on its own when told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { serveItems } from '../images/aheadWorker.ts';
import { type ImageTask, type ProposedImage, proposeImage } from './proposeImage.ts';

const { count } = workerData as { count: number };

serveItems<ImageTask, ProposedImage>(
  parentPort,
  (_, task) => proposeImage(task, count),
  () => [],
);
