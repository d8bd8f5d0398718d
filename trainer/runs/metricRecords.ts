import type { EvaluationRecord, EventRecord, MetricRecord, StepRecord } from '../protocol.ts';

/** Longer lines are not ours. */
export const maximumLineBytes = 1 << 20;

const eventKinds: ReadonlySet<string> = new Set([
  'started',
  'resumed',
  'stopped',
  'finished',
  'failed',
  'warning',
]);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** A measured number; JSON has no NaN or infinity, so they are written as null and read back as NaN. */
function measured(value: unknown): number | undefined {
  if (value === null) return Number.NaN;
  return typeof value === 'number' ? value : undefined;
}

function parseStep(value: Record<string, unknown>): StepRecord | null {
  const { step, epoch, time } = value;
  if (!isCount(step) || typeof epoch !== 'number' || typeof time !== 'number') return null;
  const loss = measured(value.loss);
  const lr = measured(value.lr);
  const gradNorm = measured(value.gradNorm);
  const imagesPerSecond = measured(value.imagesPerSecond);
  if (loss === undefined || lr === undefined || gradNorm === undefined || imagesPerSecond === undefined)
    return null;
  // The one field that the charts can do without.
  const memoryMib = measured(value.memoryMib ?? null) ?? Number.NaN;
  const dataWait = measured(value.dataWait);
  const waited = dataWait === undefined ? {} : { dataWait };
  const scaled =
    typeof value.lossScale === 'number' && isCount(value.skippedSteps)
      ? { lossScale: value.lossScale, skippedSteps: value.skippedSteps }
      : {};
  return { step, epoch, loss, lr, gradNorm, imagesPerSecond, ...waited, ...scaled, memoryMib, time };
}

function parseEvaluation(value: Record<string, unknown>): EvaluationRecord | null {
  const { epoch, step, time } = value;
  if (typeof epoch !== 'number' || typeof time !== 'number') return null;
  const entries: [string, number][] = [];
  for (const [name, item] of Object.entries(value)) {
    const number = measured(item);
    if (number !== undefined) entries.push([name, number]);
  }
  return { eval: { ...Object.fromEntries(entries), epoch, time, step: isCount(step) ? step : 0 } };
}

function parseEvent(value: Record<string, unknown>): EventRecord | null {
  const { kind, step, time, message } = value;
  if (typeof kind !== 'string' || !eventKinds.has(kind) || !isCount(step) || typeof time !== 'number')
    return null;
  const event = { kind: kind as EventRecord['event']['kind'], step, time };
  return { event: typeof message === 'string' ? { ...event, message: message.slice(0, 10_000) } : event };
}

/** Reads one line of `metrics.jsonl`; null for a torn line, another tool's line or one with wrong fields. */
export function parseMetricLine(line: string): MetricRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  if (isObject(value.eval)) return parseEvaluation(value.eval);
  if (isObject(value.event)) return parseEvent(value.event);
  return parseStep(value);
}

/** One line of `metrics.jsonl`, with its line end. Numbers that are not finite become null. */
export function formatMetricRecord(record: MetricRecord): string {
  return `${JSON.stringify(record)}\n`;
}

export function isStep(record: MetricRecord): record is StepRecord {
  return 'loss' in record;
}

export function isEvaluation(record: MetricRecord): record is EvaluationRecord {
  return 'eval' in record;
}

export function isEvent(record: MetricRecord): record is EventRecord {
  return 'event' in record;
}

/**
 * The records of a run as they count. A trainer that was killed may have written steps after its last checkpoint;
 * resuming from there does them again, so a `resumed` event at step N voids steps and evaluations after N.
 */
export class MetricHistory {
  #steps: StepRecord[] = [];
  #evaluations: EvaluationRecord[] = [];
  readonly #events: EventRecord[] = [];

  /** Steps that count, in the order in which they were done. */
  get steps(): readonly StepRecord[] {
    return this.#steps;
  }

  get evaluations(): readonly EvaluationRecord[] {
    return this.#evaluations;
  }

  get events(): readonly EventRecord[] {
    return this.#events;
  }

  add(record: MetricRecord): void {
    if (isStep(record)) this.#steps.push(record);
    else if (isEvaluation(record)) this.#evaluations.push(record);
    else this.#addEvent(record);
  }

  addAll(records: Iterable<MetricRecord>): void {
    for (const record of records) this.add(record);
  }

  #addEvent(record: EventRecord): void {
    this.#events.push(record);
    const { kind, step: last } = record.event;
    if (kind !== 'resumed') return;
    this.#steps = this.#steps.filter(({ step }) => step <= last);
    this.#evaluations = this.#evaluations.filter(({ eval: { step } }) => step <= last);
  }
}
