import type { RegionReading } from '../../trainer/evaluate/protocol.ts';
import { change, isKnown } from '../accuracy.ts';
import type { Comparison } from './comparison.ts';
import type { ClassColumn, EvaluationState } from './protocol.ts';

/** One line of the table of classes. Accuracies are fractions; null where a side has no region of the class. */
export interface ClassRow {
  /** Place in the classes of `after`. */
  place: number;
  name: string;
  isThing: boolean;
  regions: number;
  before: number | null;
  after: number | null;
  change: number | null;
  margin: number | null;
}

/** Classes that have regions on either side, in the order of the data set. */
export function classRows(comparison: Comparison, reading: RegionReading, top: 1 | 5): ClassRow[] {
  const before = comparison.perClass('before', reading);
  const after = comparison.perClass('after', reading);
  const rows: ClassRow[] = [];
  comparison.classes.forEach(({ name, isThing }, place) => {
    const [was, is] = [before.get(place), after.get(place)];
    if (was === undefined && is === undefined) return;
    const pick = (entry: typeof is): number | null => (top === 1 ? entry?.top1 : entry?.top5) ?? null;
    rows.push({
      ...{ place, name, isThing },
      regions: is?.regions ?? was?.regions ?? 0,
      before: pick(was),
      after: pick(is),
      change: change(pick(was), pick(is)),
      margin: is?.margin ?? null,
    });
  });
  return rows;
}

/** The rows whose name holds every word of the filter, of the wanted kind. */
export function filterRows(
  rows: readonly ClassRow[],
  { filter, kind }: Pick<EvaluationState['classes'], 'filter' | 'kind'>,
): ClassRow[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(({ name, isThing }) => {
    if (kind !== 'all' && isThing !== (kind === 'thing')) return false;
    const lower = name.toLowerCase();
    return words.every(word => lower.includes(word));
  });
}

/** Sorted by one column; what is not known comes last either way, and equal rows keep the order of the data set. */
export function sortRows(rows: readonly ClassRow[], column: ClassColumn, descending: boolean): ClassRow[] {
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    if (column === 'name') return sign * a.name.localeCompare(b.name) || a.place - b.place;
    const [left, right] = [cellOf(a, column), cellOf(b, column)];
    if (!isKnown(left) || !isKnown(right))
      return Number(!isKnown(left)) - Number(!isKnown(right)) || a.place - b.place;
    return sign * (left - right) || a.place - b.place;
  });
}

function cellOf(row: ClassRow, column: Exclude<ClassColumn, 'name'>): number | null {
  return column === 'kind' ? Number(!row.isThing) : row[column];
}
