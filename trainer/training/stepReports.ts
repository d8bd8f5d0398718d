import type { RunConfiguration, StepRecord } from '../protocol.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { RunRecords } from '../runs/runRecords.ts';
import { progressLine, StepClock } from './progress.ts';

/** What a step was. */
export interface ReportedStep extends Pick<StepRecord, 'step' | 'loss' | 'lr' | 'gradNorm'> {
  images: number;
  /** Seconds it took, and of those the ones in which data was waited for. */
  seconds: number;
  waited: number;
  /** Of mixed precision alone: the scale of its loss, and the steps skipped so far. */
  scaled?: Required<Pick<StepRecord, 'lossScale' | 'skippedSteps'>> | null;
}

/** A record and a line of progress for every step. */
export class StepReports {
  readonly #records: RunRecords;
  readonly #log: RunLog;
  readonly #configuration: Pick<RunConfiguration, 'totalSteps' | 'stepsPerEpoch'>;
  readonly #clock: StepClock;

  constructor(
    records: RunRecords,
    log: RunLog,
    configuration: Pick<RunConfiguration, 'totalSteps' | 'stepsPerEpoch'>,
  ) {
    this.#records = records;
    this.#log = log;
    this.#configuration = configuration;
    this.#clock = new StepClock(configuration.totalSteps);
  }

  report({ step, loss, lr, gradNorm, images, seconds, waited, scaled }: ReportedStep): void {
    this.#clock.add(seconds);
    const record: StepRecord = {
      step,
      epoch: Math.ceil(step / this.#configuration.stepsPerEpoch),
      loss,
      lr,
      gradNorm,
      imagesPerSecond: images / seconds,
      dataWait: Math.min(1, waited / seconds),
      ...(scaled ?? {}),
      memoryMib: Math.round(process.memoryUsage.rss() / 2 ** 20),
      time: Date.now(),
    };
    this.#records.write(record);
    this.#log.progress(progressLine(record, this.#configuration, this.#clock.remainingSeconds(step)));
  }
}
