/** Builds training batches ahead on worker threads, so that decoding and cropping overlap the step. */

import { availableParallelism } from 'node:os';
import type { Share } from '../distill/sampler.ts';
import { AheadLoader, workerProgram } from './aheadLoader.ts';
import type { PatchSettings, TrainingBatch } from './batch.ts';
import { batchMemory } from './batchTensors.ts';

export interface LoaderSettings extends PatchSettings {
  /** Images per step, of all ranks together. */
  batch: number;
  /** Which of them this process takes; all of them when left out. */
  share?: Share;
  /** Regions whose crops are given once, by each thread: the first ones of the store; 0, the default, gives all always. */
  keptRegions?: number;
}

export interface BatchLoaderSettings extends LoaderSettings {
  /** Worker threads; 1 by default. */
  threads?: number;
  /** Batches built ahead of the one asked for; one more than there are threads by default. */
  ahead?: number;
  /** Number of steps of the run; nothing is built at or beyond it. */
  totalSteps?: number;
}

/** Threads that leave most cores to the forward passes; one builds about ten images a second. */
export const loaderThreads = (cores = availableParallelism()): number =>
  Math.min(8, Math.max(1, Math.floor(cores / 4)));

/**
 * Steps count from 0 and follow the sampler: the same settings give the same batches in whatever order and process
 * they are asked for. A batch that is given back lends its memory to a later one. Dispose of the loader when done.
 */
export class BatchLoader extends AheadLoader<null, TrainingBatch> {
  constructor({ ahead, totalSteps, threads = 1, ...settings }: BatchLoaderSettings) {
    super({
      program: workerProgram('batchWorker', import.meta.url),
      settings: (thread: number) => ({ thread, threads, settings }),
      threads,
      taskOf: () => null,
      memoryOf: batchMemory,
      ahead,
      total: totalSteps,
    });
  }
}
