import { AheadLoader, workerProgram } from '../images/aheadLoader.ts';
import type { CropBatch, CropSettings } from './pairCrops.ts';

/** Renders the pairs of steps ahead on a worker thread: the same settings give the same pairs. Dispose of it when done. */
export class PairLoader extends AheadLoader<null, CropBatch> {
  constructor(settings: CropSettings, totalSteps: number) {
    super({
      program: workerProgram('pairWorker', import.meta.url),
      settings,
      taskOf: () => null,
      total: totalSteps,
    });
  }
}
