import type { SegmentationReport, SegmentSideReport } from '../../trainer/segment/protocol.ts';
import { change, isKnown } from '../accuracy.ts';
import type { SegmentColumn } from './protocol.ts';

/** One line of the table of segmented classes. IoU and average precision are fractions; null where not known. */
export interface SegmentRow {
  /** Position in the report's classes. */
  place: number;
  name: string;
  /** Pixels of the class in the truth. */
  pixels: number;
  before: number | null;
  after: number | null;
  change: number | null;
  /** Average precision of its regions after, by boxes and by masks. */
  boxes: number | null;
  masks: number | null;
}

/** Classes that have pixels, or were named, on either side; in the order of the data set. */
export function segmentRows({ classes, before, after }: SegmentationReport): SegmentRow[] {
  const ious = (side: SegmentSideReport | null) =>
    new Map(side?.pixels.perClass.map(entry => [entry.class, entry]) ?? []);
  const precisions = (reading: 'boxes' | 'masks') =>
    new Map(after.naming[reading].perClass.map(entry => [entry.class, entry.ap]));
  const [was, is, boxes, masks] = [ious(before), ious(after), precisions('boxes'), precisions('masks')];
  return classes.flatMap(({ name }, place): SegmentRow[] => {
    const [old, now] = [was.get(place), is.get(place)];
    if (!old && !now) return [];
    const [first, second] = [old?.iou ?? null, now?.iou ?? null];
    return [
      {
        ...{ place, name, pixels: now?.truth ?? old?.truth ?? 0, before: first, after: second },
        change: change(first, second),
        boxes: boxes.get(place) ?? null,
        masks: masks.get(place) ?? null,
      },
    ];
  });
}

/** Sorted by one column; what is not known comes last either way, and equal rows keep their order. */
export function sortSegmentRows(
  rows: readonly SegmentRow[],
  column: SegmentColumn,
  descending: boolean,
): SegmentRow[] {
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    if (column === 'name') return sign * a.name.localeCompare(b.name) || a.place - b.place;
    const [left, right] = [a[column], b[column]];
    if (!isKnown(left) || !isKnown(right))
      return Number(!isKnown(left)) - Number(!isKnown(right)) || a.place - b.place;
    return sign * (left - right) || a.place - b.place;
  });
}

/** Pixels of one class that took the name of another. */
export interface SegmentMistake {
  truth: string;
  named: string;
  pixels: number;
  /** Share of the pixels of the true class, after and before; null where that side is missing. */
  after: number;
  before: number | null;
}

/** The pairs of classes that most pixels are confused between, after. */
export function worstMistakes(
  { classes, before, after }: SegmentationReport,
  count: number,
): SegmentMistake[] {
  const key = (truth: number, named: number): number => truth * classes.length + named;
  const was = new Map(
    before?.pixels.confusions.map(each => [key(each.truth, each.named), each.pixels]) ?? [],
  );
  const truths = new Map(after.pixels.perClass.map(entry => [entry.class, entry.truth]));
  return after.pixels.confusions
    .filter(({ truth, named }) => truth !== named)
    .sort((a, b) => b.pixels - a.pixels)
    .slice(0, count)
    .map(({ truth, named, pixels }) => {
      const all = truths.get(truth) ?? pixels;
      return {
        ...{ truth: classes[truth]?.name ?? '', named: classes[named]?.name ?? '', pixels },
        after: pixels / all,
        before: before === null ? null : (was.get(key(truth, named)) ?? 0) / all,
      };
    });
}
