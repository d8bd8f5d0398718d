import type { EvaluationRecord, EventRecord, StepRecord } from '../protocol.ts';
import type { CurveEvaluation, CurvePlace, CurveStep, RunCurves } from './protocol.ts';

/** The records of a run that count (`MetricHistory`). */
export interface CountedRecords {
  steps: readonly StepRecord[];
  evaluations: readonly EvaluationRecord[];
  events: readonly EventRecord[];
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

/**
 * A run's records laid out so that other runs can be laid beside them: each with its step, epoch and training time.
 *
 * @param stepsPerEpoch Of the run's configuration.
 */
export function runCurves(records: CountedRecords, stepsPerEpoch: number): RunCurves {
  const clock = trainingClock(records);
  const place = (step: number, time: number): CurvePlace => ({
    step,
    epoch: stepsPerEpoch > 0 ? step / stepsPerEpoch : 0,
    seconds: clock(time),
  });
  const steps = records.steps.map(
    ({ step, time, loss, lr, gradNorm, imagesPerSecond }): CurveStep => ({
      ...place(step, time),
      loss: finite(loss),
      lr: finite(lr),
      gradNorm: finite(gradNorm),
      imagesPerSecond: finite(imagesPerSecond),
    }),
  );
  const evaluations = records.evaluations.map(({ eval: evaluation }): CurveEvaluation => {
    const { step, time, epoch: _epoch, ...measured } = evaluation;
    const values = Object.entries(measured).filter(([, value]) => Number.isFinite(value));
    return { ...place(step, time), values: Object.fromEntries(values) };
  });
  return { steps, evaluations: evaluations.sort((a, b) => a.step - b.step) };
}

/**
 * Seconds of training at a time of the clock. Between two records that count, time runs from the earlier one, or from
 * the start of the trainer that came in between: neither breaks nor work that a resume threw away count.
 */
function trainingClock({ steps, evaluations, events }: CountedRecords): (time: number) => number {
  const starts = events
    .filter(({ event }) => event.kind === 'started' || event.kind === 'resumed')
    .map(({ event }) => event.time)
    .sort((a, b) => a - b);
  const times = [...steps.map(({ time }) => time), ...evaluations.map(({ eval: { time } }) => time)].sort(
    (a, b) => a - b,
  );
  const elapsed = new Map<number, number>();
  let [total, before, next] = [0, starts[0] ?? times[0] ?? 0, 0];
  for (const time of times) {
    while (next < starts.length && starts[next]! <= time) before = Math.max(before, starts[next++]!);
    total += Math.max(0, time - before);
    before = Math.max(before, time);
    elapsed.set(time, total / 1000);
  }
  return time => elapsed.get(time) ?? 0;
}
