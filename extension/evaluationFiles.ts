import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { runReportPath, twelveNumberNames } from '../trainer/evaluate/protocol.ts';
import type { MetricRecord, RunSummary } from '../trainer/protocol.ts';
import { isEvaluation, MetricHistory } from '../trainer/runs/metricRecords.ts';
import { MetricTail } from '../trainer/runs/metrics.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import type {
  EpochNumbers,
  ReportChoice,
  ReportReference,
  RunNumbers,
} from '../webview/evaluation/protocol.ts';

/** An evaluation in a run directory. */
export interface RunEvaluation {
  epoch: number;
  /** Absolute path of its report. */
  report: string;
}

const isFile = (file: string): Promise<boolean> =>
  stat(file).then(
    status => status.isFile(),
    () => false,
  );

/** The evaluations of a run, ascending by epoch; none where the folder is missing. */
export async function evaluationsOf(run: string): Promise<RunEvaluation[]> {
  const names = await readdir(path.join(run, 'evaluations')).catch(() => []);
  const found: RunEvaluation[] = [];
  for (const name of names) {
    const epoch = Number(/^epoch-(\d{4,9})$/.exec(name)?.[1] ?? Number.NaN);
    const report = path.join(run, runReportPath(epoch));
    if (Number.isInteger(epoch) && (await isFile(report))) found.push({ epoch, report });
  }
  return found.sort((a, b) => a.epoch - b.epoch);
}

/** The run whose evaluation a report is, by where it lies; null for other reports. */
export function runOfReport(report: string): string | null {
  const folder = path.dirname(report);
  const evaluations = path.dirname(folder);
  const isRuns =
    /^epoch-\d{4,9}$/.test(path.basename(folder)) && path.basename(evaluations) === 'evaluations';
  return isRuns && path.basename(report) === 'report.json' ? path.dirname(evaluations) : null;
}

/** The report that a reference means now; null where its run has none yet. */
export async function resolveReference(reference: ReportReference | null): Promise<string | null> {
  if (reference === null) return null;
  if (reference.kind === 'file') return reference.path;
  return (await evaluationsOf(reference.run)).at(-1)?.report ?? null;
}

const epochLabel = (epoch: number): string => (epoch === 0 ? 'before training' : `epoch ${epoch}`);

/** What can be picked: the evaluations of runs, and other reports that were opened. */
export async function listChoices(
  runs: readonly Pick<RunSummary, 'directory' | 'name'>[],
  files: readonly string[],
): Promise<ReportChoice[]> {
  const choices: ReportChoice[] = [];
  for (const { directory, name } of runs) {
    const evaluations = await evaluationsOf(directory);
    if (evaluations.length === 0) continue;
    // What tells the reports of a run apart comes first: the list shows the beginning of a long name.
    const latest = `latest (${epochLabel(evaluations.at(-1)!.epoch)}) · ${name}`;
    choices.push({ reference: { kind: 'latest', run: directory }, label: latest, group: name });
    for (const { epoch, report } of evaluations) {
      const label = `${epochLabel(epoch)} · ${name}`;
      choices.push({ reference: { kind: 'file', path: report }, label, group: name });
    }
  }
  const listed = new Set(choices.map(({ reference }) => (reference.kind === 'file' ? reference.path : '')));
  for (const file of new Set(files)) {
    if (listed.has(file)) continue;
    const label = path.join(path.basename(path.dirname(file)), path.basename(file));
    choices.push({ reference: { kind: 'file', path: file }, label, group: 'Files' });
  }
  return choices;
}

/** The evaluations among a run's records, one an epoch, the last of each. */
export function epochNumbers(records: readonly MetricRecord[]): EpochNumbers[] {
  const byEpoch = new Map<number, EpochNumbers>();
  for (const record of records) {
    if (!isEvaluation(record)) continue;
    const { eval: evaluation } = record;
    const numbers: EpochNumbers['numbers'] = {};
    for (const name of twelveNumberNames) {
      const value = evaluation[name];
      if (value !== undefined && Number.isFinite(value)) numbers[name] = value;
    }
    if (Object.keys(numbers).length === 0) continue;
    byEpoch.set(evaluation.epoch, { epoch: evaluation.epoch, step: evaluation.step, numbers });
  }
  return [...byEpoch.values()].sort((a, b) => a.epoch - b.epoch);
}

/** Follows the numbers of one run in its `metrics.jsonl`. */
export class RunNumbersReader {
  readonly #run: string;
  readonly #tail: MetricTail;
  #history = new MetricHistory();
  #restarts = 0;

  constructor(run: string) {
    this.#run = run;
    this.#tail = new MetricTail(runFiles(run).metrics);
  }

  /** @throws FileError when the file cannot be read; a missing one has no numbers. */
  async read(): Promise<RunNumbers> {
    const records = await this.#tail.readNew();
    if (this.#tail.restarts !== this.#restarts) {
      this.#restarts = this.#tail.restarts;
      this.#history = new MetricHistory();
    }
    this.#history.addAll(records);
    return {
      run: this.#run,
      name: path.basename(this.#run),
      epochs: epochNumbers(this.#history.evaluations),
    };
  }
}
