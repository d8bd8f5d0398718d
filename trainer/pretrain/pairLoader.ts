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
  /** Batches of the whole run. */
  total: number;
  /** Threads that render. */
  workers: number;
}

/**
 * Renders batches of pairs ahead on worker threads: the same settings give the same pairs, however many threads there
 * are. Dispose of it when done.
 */
export class PairLoader extends AheadLoader<null, CropBatch> {
  constructor({ settings, sprites, total, workers }: PairLoaderOptions) {
    const data: PairWorkerData = { settings, sprites };
    super({
      program: workerProgram('pairWorker', import.meta.url),
      settings: data,
      taskOf: () => null,
      threads: workers,
      ahead: 2 * workers,
      total,
    });
  }
}
