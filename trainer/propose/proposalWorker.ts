/** Worker thread that proposes regions of images. Started by `proposals.ts`; ends on its own when told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { serveItems } from '../images/aheadWorker.ts';
import { type ProposalRequest, type ProposedImage, proposeImage } from './proposeImage.ts';

const request = workerData as ProposalRequest;

serveItems<number, ProposedImage>(
  parentPort,
  (_, position) => proposeImage(request, position),
  () => [],
);
