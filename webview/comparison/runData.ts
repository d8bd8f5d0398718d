import type { CurveEvaluation, CurvePlace, CurveStep, StepMetric } from '../../trainer/compare/protocol.ts';
import { drawnPoints, type NamedCurve, type Point } from '../training/series.ts';
import { smooth } from '../training/smoothing.ts';
import type { Axis, CurvesMessage } from './protocol.ts';

/** What the panel holds of one run. */
export class RunData {
  steps: CurveStep[] = [];
  evaluations: CurveEvaluation[] = [];

  take({ replace, steps, evaluations }: CurvesMessage): void {
    this.steps = replace ? steps : [...this.steps, ...steps];
    this.evaluations = replace ? evaluations : [...this.evaluations, ...evaluations];
  }

  /** A step's metric over an axis, smoothed over steps; at most `limit` points. */
  stepPoints(metric: StepMetric, axis: Axis, smoothing: number, limit: number): Point[] {
    const values = this.steps.map(step => step[metric] ?? Number.NaN);
    const places = this.steps.map(step => placeOf(step, axis));
    return drawnPoints({ steps: places, values: smooth(values, smoothing) }, limit);
  }

  /** A number of the evaluations over an axis. */
  evaluationPoints(name: string, axis: Axis): Point[] {
    return this.evaluations.flatMap(evaluation => {
      const y = evaluation.values[name];
      return y === undefined ? [] : [{ x: placeOf(evaluation, axis), y }];
    });
  }
}

/** Hours are easier to read than thousands of seconds. */
const placeOf = (place: CurvePlace, axis: Axis): number =>
  axis === 'seconds' ? place.seconds / 3600 : place[axis];

/** Every name that was evaluated, in order of first appearance. */
export function evaluatedNames(runs: Iterable<RunData>): string[] {
  const names = new Set<string>();
  for (const { evaluations } of runs)
    for (const { values } of evaluations) for (const name of Object.keys(values)) names.add(name);
  return [...names];
}

/** Curves in the order of looks: a run that is hidden or has none leaves its place empty. */
export function inLooks(
  curves: readonly { look: number; name: string; points: Point[] }[],
  count: number,
): NamedCurve[] {
  return Array.from({ length: count }, (_, look) => {
    const curve = curves.find(entry => entry.look === look);
    return { name: curve?.name ?? '', points: curve?.points ?? [] };
  });
}
