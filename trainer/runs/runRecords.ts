import type { EventRecord, MetricRecord } from '../protocol.ts';
import type { MetricHistory } from './metricRecords.ts';
import { MetricWriter } from './metrics.ts';
import type { RunFiles } from './runDirectory.ts';
import type { RunLog } from './runLog.ts';

/** What a trainer notes of its run: records in `metrics.jsonl`, and the words of the log that belong to them. */
export class RunRecords {
  /** Null on ranks that do not lead. */
  readonly #metrics: MetricWriter | null;
  readonly #log: RunLog;

  /**
   * @param writes Whether this process is the one that writes the run directory.
   * @throws FileError
   */
  constructor(files: Pick<RunFiles, 'metrics'>, writes: boolean, log: RunLog) {
    this.#metrics = writes ? MetricWriter.open(files.metrics) : null;
    this.#log = log;
  }

  write(record: MetricRecord): void {
    this.#metrics?.write(record);
  }

  event(kind: EventRecord['event']['kind'], step: number, message?: string): void {
    const event = { kind, step, time: Date.now() };
    this.write({ event: message === undefined ? event : { ...event, message } });
  }

  /** The run begins, or goes on after `step`. */
  begin({ events }: MetricHistory, step: number, totalSteps: number): void {
    if (events.length === 0) {
      this.event('started', step);
      return;
    }
    this.event('resumed', step);
    this.#log.info(`resumed after step ${step} of ${totalSteps}`);
  }

  warn(step: number, message: string): void {
    this.#log.warn(message);
    this.event('warning', step, message);
  }

  /** Never throws: the failure itself is the one to report. */
  fail(step: number, error: unknown): void {
    try {
      this.event('failed', step, error instanceof Error ? error.message : String(error));
    } catch {
      // The disk may be full.
    }
  }

  dispose(): void {
    this.#metrics?.dispose();
  }
}
