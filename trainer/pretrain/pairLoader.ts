import { AheadLoader, workerProgram } from '../images/aheadLoader.ts';
import type { StyleSprites } from '../world/icons.ts';
import type { StyleName } from '../world/styles.ts';
import type { CropBatch, CropSettings } from './pairCrops.ts';

/** `workerData` of every worker. */
export interface PairWorkerData {
  settings: CropSettings;
  /** Rasterised once; the workers share their pixels. */
  sprites: ReadonlyMap<StyleName, StyleSprites>;
}

export interface PairLoaderOptions extends PairWorkerData {
  totalSteps: number;
  /** Threads that render. */
  workers: number;
}

/**
 * Renders the pairs of steps ahead on worker threads: the same settings give the same pairs, however many threads there
 * are. Dispose of it when done.
 */
export class PairLoader extends AheadLoader<null, CropBatch> {
  constructor({ settings, sprites, totalSteps, workers }: PairLoaderOptions) {
    const data: PairWorkerData = { settings, sprites };
    super({
      program: workerProgram('pairWorker', import.meta.url),
      settings: data,
      taskOf: () => null,
      threads: workers,
      ahead: 2 * workers,
      total: totalSteps,
    });
  }
}
