/** Which curves the charts draw, from reports and runs. */

import type { ClassKind, RegionReading } from '../../trainer/evaluate/protocol.ts';
import { isKnown, numberName, readingNames } from '../accuracy.ts';
import type { NamedCurve, Point } from '../training/series.ts';
import type { Comparison } from './comparison.ts';
import type { RunNumbers } from './protocol.ts';

const dense: readonly RegionReading[] = ['rois', 'maskpool'];

/**
 * One number over the epochs of up to two runs, dense features only; then, from end to end, the number of image crops
 * before training: the teacher's, which distillation strives for.
 */
export function epochCurves(runs: readonly RunNumbers[], kind: ClassKind, top: 1 | 5): NamedCurve[] {
  const shown = runs.filter(({ epochs }) => epochs.length > 0).slice(0, 2);
  const curves: NamedCurve[] = [0, 1].flatMap(at => {
    const run = shown[at];
    return dense.map(reading => ({
      name:
        shown.length > 1
          ? `${run?.name ?? ''} ${readingNames[reading].toLowerCase()}`
          : readingNames[reading],
      points: points(run, numberName(reading, kind, top)),
    }));
  });
  const places = shown.flatMap(({ epochs }) => epochs.map(({ epoch }) => epoch));
  const teacher = shown
    .map(({ epochs }) => epochs.find(({ epoch }) => epoch === 0)?.numbers[numberName('crops', kind, top)])
    .find(isKnown);
  return [...curves, { name: 'Teacher’s crops', points: level(teacher, places) }];
}

function points(run: RunNumbers | undefined, name: ReturnType<typeof numberName>): Point[] {
  return (run?.epochs ?? []).flatMap(({ epoch, numbers }) => {
    const value = numbers[name];
    return isKnown(value) ? [{ x: epoch, y: value }] : [];
  });
}

/** A horizontal line through all places. */
function level(value: number | undefined, places: readonly number[]): Point[] {
  if (value === undefined) return [];
  return [...new Set(places)].sort((a, b) => a - b).map(x => ({ x, y: value }));
}

/** One number over input sizes (the paper's Figure 3): dense features before and after, and crops. */
export function sweepCurves({ before, after }: Comparison, kind: ClassKind, top: 1 | 5): NamedCurve[] {
  const curve = (name: string, report: typeof before, reading: RegionReading): NamedCurve => ({
    name,
    points: (report?.sweep ?? [])
      .flatMap(({ size, numbers }) => {
        const value = numbers[numberName(reading, kind, top)];
        return isKnown(value) ? [{ x: size, y: value }] : [];
      })
      .sort((a, b) => a.x - b.x),
  });
  const reference = curve('Crops', before !== null && before.sweep.length > 0 ? before : after, 'crops');
  return [
    curve('Boxes', after, 'rois'),
    curve('Masks', after, 'maskpool'),
    curve('Boxes before', before, 'rois'),
    curve('Masks before', before, 'maskpool'),
    reference,
  ];
}
