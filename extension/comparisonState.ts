import path from 'node:path';
import { mostRuns } from '../trainer/compare/protocol.ts';
import { axes, type ComparisonState, type ShownRun } from '../webview/comparison/protocol.ts';

type Fields = Readonly<Record<string, unknown>>;

const isPath = (value: unknown): value is string => typeof value === 'string' && path.isAbsolute(value);

/** A new comparison of runs; the first is the base. */
export function newComparison(directories: readonly string[]): ComparisonState {
  return {
    schema: 1,
    runs: directories.slice(0, mostRuns).map((directory, look) => ({ directory, look })),
    base: directories[0] ?? '',
    axis: 'step',
    smoothing: 0.6,
    hidden: [],
    kMeans: { image: null, k: 6 },
  };
}

/** A stored state of any version made valid; null where it names no run, so that there is nothing to restore. */
export function parseComparisonState(value: unknown): ComparisonState | null {
  if (typeof value !== 'object' || value === null) return null;
  const stored = value as Fields;
  if (stored.schema !== 1) return null;
  const runs = parseRuns(stored.runs);
  if (runs.length === 0) return null;
  const state = newComparison([]);
  const isShown = (directory: unknown): directory is string => runs.some(run => run.directory === directory);
  const { axis, base, smoothing, hidden, kMeans } = stored;
  const { image = null, k } = (typeof kMeans === 'object' && kMeans !== null ? kMeans : {}) as Fields;
  return {
    ...state,
    runs,
    base: isShown(base) ? base : runs[0]!.directory,
    axis: axes.find(known => known === axis) ?? state.axis,
    smoothing: typeof smoothing === 'number' && smoothing >= 0 && smoothing < 1 ? smoothing : state.smoothing,
    hidden: Array.isArray(hidden) ? hidden.filter(isShown) : [],
    kMeans: {
      image: isPath(image) ? image : null,
      k: typeof k === 'number' && Number.isInteger(k) && k >= 2 && k <= 24 ? k : state.kMeans.k,
    },
  };
}

function parseRuns(value: unknown): ShownRun[] {
  if (!Array.isArray(value)) return [];
  const runs: ShownRun[] = [];
  for (const entry of value as unknown[]) {
    if (typeof entry !== 'object' || entry === null) continue;
    const { directory, look } = entry as Fields;
    if (!isPath(directory) || runs.some(run => run.directory === directory)) continue;
    const free = freeLook(runs);
    if (free === null) return runs;
    const isFree =
      typeof look === 'number' && look >= 0 && look < mostRuns && runs.every(run => run.look !== look);
    runs.push({ directory, look: isFree && Number.isInteger(look) ? look : free });
  }
  return runs;
}

/** The first look that no run has; null when all are taken. */
function freeLook(runs: readonly ShownRun[]): number | null {
  for (let look = 0; look < mostRuns; look++) if (runs.every(run => run.look !== look)) return look;
  return null;
}
