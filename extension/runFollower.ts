import type { MetricRecord, RunSummary } from '../trainer/protocol.ts';
import { MetricHistory } from '../trainer/runs/metricRecords.ts';
import { MetricTail } from '../trainer/runs/metrics.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import { summariseRun } from '../trainer/runs/runSummary.ts';
import { type EditorTerms, inEditorTerms, termsOfRun } from './editorTerms.ts';

/** What one look at a run directory brought. */
export interface RunUpdate {
  /** Records appended since the last look. */
  records: MetricRecord[];
  /** What was read before no longer counts as it was: a resume voided steps, or the file was replaced. */
  historyRewritten: boolean;
  summary: RunSummary;
}

/** Follows one run by its directory alone, reading each record once. */
export class RunFollower {
  readonly directory: string;
  readonly #tail: MetricTail;
  #history = new MetricHistory();
  #restarts = 0;

  constructor(directory: string) {
    this.directory = directory;
    this.#tail = new MetricTail(runFiles(directory).metrics);
  }

  /** All records that count. */
  get history(): MetricHistory {
    return this.#history;
  }

  /**
   * Looks at the directory again. Calls must not overlap.
   *
   * @throws FileError when it holds no run (any more).
   */
  async update(): Promise<RunUpdate> {
    const update = await this.#read();
    let summary = await summariseRun(this.directory, this.#history);
    if (summary.state === 'interrupted') {
      // A trainer writes its goodbye before it gives up the run: metrics read before the lease can miss it, and the run
      // would look interrupted for a moment.
      const late = await this.#read();
      if (late.records.length > 0) summary = await summariseRun(this.directory, this.#history);
      update.historyRewritten ||= late.historyRewritten;
      update.records.push(...late.records);
    }
    return { ...update, summary };
  }

  /** Takes what was appended into the history. */
  async #read(): Promise<Omit<RunUpdate, 'summary'>> {
    const terms = await termsOfRun(this.directory);
    const records = (await this.#tail.readNew()).map(record => worded(record, terms));
    const replaced = this.#tail.restarts !== this.#restarts;
    if (replaced) {
      this.#history = new MetricHistory();
      this.#restarts = this.#tail.restarts;
    }
    this.#history.addAll(records);
    const isResumed = records.some(record => 'event' in record && record.event.kind === 'resumed');
    return { records, historyRewritten: replaced || isResumed };
  }
}

/** A record whose message, if it has one, is in the terms of VS Code. */
function worded(record: MetricRecord, terms: EditorTerms): MetricRecord {
  if (!('event' in record) || record.event.message === undefined) return record;
  return { event: { ...record.event, message: inEditorTerms(record.event.message, terms) } };
}
