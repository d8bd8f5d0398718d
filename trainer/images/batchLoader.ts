/** Builds training batches ahead on a worker thread, so that decoding and cropping overlap the step. */

import type { Share } from '../distill/sampler.ts';
import { AheadLoader, workerProgram } from './aheadLoader.ts';
import type { PatchSettings, TrainingBatch } from './batch.ts';

/** `workerData` of the worker. */
export interface LoaderSettings extends PatchSettings {
  /** Images per step. */
  batch: number;
  /** Which of them this process takes; all of them when left out. */
  share?: Share;
}

export interface BatchLoaderSettings extends LoaderSettings {
  /** Batches built ahead of the one asked for; 2 by default. */
  ahead?: number;
  /** Number of steps of the run; nothing is built at or beyond it. */
  totalSteps?: number;
}

/**
 * Steps count from 0 and follow the sampler: the same settings give the same batches in whatever order and process
 * they are asked for. Dispose of the loader when done.
 */
export class BatchLoader extends AheadLoader<null, TrainingBatch> {
  constructor({ ahead, totalSteps, ...settings }: BatchLoaderSettings) {
    super({
      program: workerProgram('batchWorker', import.meta.url),
      settings,
      taskOf: () => null,
      ahead,
      total: totalSteps,
    });
  }
}
