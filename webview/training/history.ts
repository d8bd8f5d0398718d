import type { EvaluationRecord, EventRecord, StepRecord } from '../../trainer/protocol.ts';
import { isTwelveNumber, type TwelveNumbers } from '../accuracy.ts';

/** The three kinds of records of a run, each in file order. */
export interface Records {
  steps: readonly StepRecord[];
  evaluations: readonly EvaluationRecord[];
  events: readonly EventRecord[];
}

/** First, best and last value of one evaluation metric. */
export interface EvaluationSummary {
  /** Dotted name, such as `heldOut.cosine`. */
  name: string;
  /** Value at step 0; null when the run was not evaluated before training. */
  before: number | null;
  best: { step: number; value: number };
  last: { step: number; value: number };
  /** Ascending by step. */
  points: { step: number; value: number }[];
}

/**
 * What a run has recorded so far, as the panel draws it: steps ascend, and work that a later resume threw away is gone.
 */
export class RunHistory {
  #steps: StepRecord[] = [];
  #evaluations: EvaluationRecord[] = [];
  #events: EventRecord[] = [];

  get steps(): readonly StepRecord[] {
    return this.#steps;
  }

  get events(): readonly EventRecord[] {
    return this.#events;
  }

  get lastStep(): StepRecord | undefined {
    return this.#steps[this.#steps.length - 1];
  }

  /** Forgets everything, then takes `records`. */
  replace(records: Records): void {
    this.#steps = [];
    this.#evaluations = [];
    this.#events = [];
    this.append(records);
  }

  /**
   * Takes records that follow those held. A `resumed` event at step N removes what was recorded before it for steps
   * after N; a step that was already recorded replaces its first version and everything after that.
   */
  append(records: Records): void {
    for (const step of records.steps) this.#appendStep(step);
    for (const evaluation of records.evaluations) this.#evaluations.push(evaluation);
    for (const record of records.events) {
      this.#events.push(record);
      if (record.event.kind === 'resumed') this.#rewind(record.event.step, record.event.time);
    }
  }

  /** The step with the lowest loss; undefined without a finite loss. */
  bestLoss(): StepRecord | undefined {
    let best: StepRecord | undefined;
    for (const record of this.#steps) {
      if (Number.isFinite(record.loss) && (best === undefined || record.loss < best.loss)) best = record;
    }
    return best;
  }

  /** Every metric that was evaluated, in order of first appearance. */
  evaluationSummaries(): EvaluationSummary[] {
    const valuesByName = new Map<string, Map<number, number>>();
    for (const { eval: evaluation } of this.#evaluations) {
      for (const [name, value] of Object.entries(evaluation)) {
        if (name === 'epoch' || name === 'step' || name === 'time' || !Number.isFinite(value)) continue;
        const values = valuesByName.get(name) ?? new Map<number, number>();
        values.set(evaluation.step, value);
        valuesByName.set(name, values);
      }
    }
    return [...valuesByName].map(([name, values]) => summarise(name, values));
  }

  /**
   * Seconds spent training: from each start or resume to the last record before the next one. Breaks between an end
   * and a resume do not count.
   */
  elapsedSeconds(): number {
    const starts = this.#events
      .filter(({ event }) => event.kind === 'started' || event.kind === 'resumed')
      .map(({ event }) => event.time)
      .sort((a, b) => a - b);
    if (starts.length === 0) starts.push(this.#steps[0]?.time ?? 0);
    const ends = [...starts];
    const extend = (time: number): void => {
      let index = starts.length - 1;
      while (index > 0 && starts[index]! > time) index--;
      ends[index] = Math.max(ends[index]!, time);
    };
    for (const record of this.#steps) extend(record.time);
    for (const { eval: evaluation } of this.#evaluations) extend(evaluation.time);
    for (const { event } of this.#events) extend(event.time);
    return ends.reduce((total, end, index) => total + end - starts[index]!, 0) / 1000;
  }

  #appendStep(record: StepRecord): void {
    while (this.#steps.length > 0 && this.#steps[this.#steps.length - 1]!.step >= record.step)
      this.#steps.pop();
    this.#steps.push(record);
  }

  #rewind(step: number, time: number): void {
    this.#steps = this.#steps.filter(record => record.step <= step || record.time > time);
    this.#evaluations = this.#evaluations.filter(
      ({ eval: evaluation }) => evaluation.step <= step || evaluation.time > time,
    );
  }
}

function summarise(name: string, values: Map<number, number>): EvaluationSummary {
  const points = [...values].map(([step, value]) => ({ step, value })).sort((a, b) => a.step - b.step);
  const first = points[0]!;
  // Every metric of a run is a similarity or an accuracy, except losses.
  const sign = /loss/i.test(name) ? -1 : 1;
  const best = points.reduce((a, b) => (sign * b.value > sign * a.value ? b : a));
  return {
    name,
    before: first.step === 0 ? first.value : null,
    best,
    last: points[points.length - 1]!,
    points,
  };
}

/** Region classification before training, null where it was not measured, and last; null without any. */
export function twelveNumbers(
  evaluations: readonly EvaluationSummary[],
): { before: TwelveNumbers | null; after: TwelveNumbers } | null {
  const [before, after]: [TwelveNumbers, TwelveNumbers] = [{}, {}];
  for (const { name, before: was, last } of evaluations) {
    if (!isTwelveNumber(name)) continue;
    if (was !== null && last.step > 0) before[name] = was;
    after[name] = last.value;
  }
  if (Object.keys(after).length === 0) return null;
  return { before: Object.keys(before).length === 0 ? null : before, after };
}
