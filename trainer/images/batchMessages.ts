/** What the batch loader and its worker thread say to each other. */

import type { PatchSettings, TrainingBatch } from './batch.ts';

/** `workerData` of the worker. */
export interface LoaderSettings extends PatchSettings {
  /** Images per step. */
  batch: number;
}

export type LoaderRequest = { kind: 'build'; step: number } | { kind: 'stop' };

export type LoaderReply =
  | { kind: 'batch'; step: number; batch: TrainingBatch }
  | { kind: 'failed'; step: number; message: string };
