/** Run directories as a trainer writes them, for tests of what reads them. */

import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { MetricRecord, RunConfiguration, StepRecord, TrainingSettings } from '../../trainer/protocol.ts';
import { acquireLease, type Lease } from '../../trainer/runs/lease.ts';
import { MetricWriter } from '../../trainer/runs/metrics.ts';
import { writeRunConfiguration } from '../../trainer/runs/runConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { trainingDefaults } from '../../trainer/training/settings.ts';

const settings: TrainingSettings = { ...trainingDefaults, model: '/model', images: '/images', holdOut: 0 };

export const configuration: RunConfiguration = {
  schema: 1,
  settings,
  modelHash: '0'.repeat(64),
  regionsHash: null,
  parameters: { total: 10, trainable: 5 },
  totalSteps: 100,
  stepsPerEpoch: 50,
  imageCount: { found: 100, training: 100, heldOut: 0 },
  versions: { clipself: '0', node: process.version, engine: 'none' },
  created: '2025-01-31T12:00:00.000Z',
};

export function stepRecord(step: number, loss: number, time = Date.now()): StepRecord {
  return { step, epoch: 1, loss, lr: 1e-5, gradNorm: 1, imagesPerSecond: 2, memoryMib: 100, time };
}

export function eventRecord(
  kind: 'started' | 'resumed' | 'stopped' | 'finished',
  step: number,
): MetricRecord {
  return { event: { kind, step, time: Date.now() } };
}

/** A run whose trainer is this process. */
export class TestRun {
  readonly directory: string;
  readonly #writer: MetricWriter;
  #lease: Lease | null = null;

  private constructor(directory: string, writer: MetricWriter) {
    this.directory = directory;
    this.#writer = writer;
  }

  static async create(directory: string): Promise<TestRun> {
    await mkdir(directory, { recursive: true });
    await writeRunConfiguration(runFiles(directory).configuration, configuration);
    return new TestRun(directory, MetricWriter.open(runFiles(directory).metrics));
  }

  write(...records: MetricRecord[]): void {
    for (const record of records) this.#writer.write(record);
  }

  /** The trainer takes hold of the run. */
  async takeLease(): Promise<void> {
    this.#lease = await acquireLease(this.directory, { controlPipe: path.join(this.directory, 'none.sock') });
  }

  /** The trainer lets go of the run, as it does when it ends for any reason. */
  async releaseLease(): Promise<void> {
    await this.#lease?.release();
    this.#lease = null;
  }

  /** Removes the run directory. */
  async remove(): Promise<void> {
    this.#writer.dispose();
    await this.releaseLease();
    await rm(this.directory, { recursive: true });
  }
}
