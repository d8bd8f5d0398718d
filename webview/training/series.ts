import type { StepRecord } from '../../trainer/protocol.ts';
import { decimate } from './decimation.ts';

/** A quantity over steps at full resolution: `values[i]` was measured at `steps[i]`, ascending. */
export interface Series {
  steps: ArrayLike<number>;
  values: ArrayLike<number>;
}

/** A point of a curve: step and value. */
export interface Point {
  x: number;
  y: number;
}

/** A curve with its name. */
export interface NamedCurve {
  name: string;
  points: readonly Point[];
}

/** Shapes that tell curves apart without colour. */
export type Marker = 'circle' | 'rect' | 'rectRot' | 'triangle' | 'cross' | 'crossRot';

/** Numbers of a step that are drawn over steps. */
export type Quantity = 'loss' | 'lr' | 'gradNorm' | 'imagesPerSecond' | 'memoryMib';

/** A column of the records, in double precision; what a record lacks is NaN and leaves a gap. */
export function column(records: readonly StepRecord[], name: Quantity | 'step'): Float64Array {
  const values = new Float64Array(records.length);
  for (let index = 0; index < records.length; index++) {
    const value: unknown = records[index]![name];
    values[index] = typeof value === 'number' ? value : Number.NaN;
  }
  return values;
}

/** More points than this are always thinned before they are drawn. */
const MAXIMUM_DRAWN_POINTS = 2000;

/** A chart is never given fewer than this: it may become wider before the next point is drawn. */
const MINIMUM_DRAWN_POINTS = 1000;

/** How many points a chart of this width, in CSS pixels, is given: a lowest and a highest for each pixel. */
export function pointLimit(width: number): number {
  return Math.round(Math.min(Math.max(2 * width, MINIMUM_DRAWN_POINTS), MAXIMUM_DRAWN_POINTS));
}

/** The points worth drawing: lowest and highest values are kept. */
export function drawnPoints(series: Series, limit: number): Point[] {
  return decimate(series.values, limit).map(index => ({
    x: series.steps[index]!,
    y: series.values[index]!,
  }));
}

/** Index of the step nearest to `step`; −1 when there is none. Binary search over ascending steps. */
export function nearestIndex(steps: ArrayLike<number>, step: number): number {
  let low = 0;
  let high = steps.length - 1;
  if (high < 0) return -1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]! < step) low = middle + 1;
    else high = middle;
  }
  return low > 0 && step - steps[low - 1]! <= steps[low]! - step ? low - 1 : low;
}
