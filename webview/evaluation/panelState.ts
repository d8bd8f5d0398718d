import { classKinds, regionReadings } from '../../trainer/evaluate/protocol.ts';
import {
  type ClassColumn,
  classColumns,
  defaultEvaluationState,
  type EvaluationState,
  evaluationTabs,
  matrixOrders,
  matrixSides,
  type RegionSelection,
  type ReportReference,
  regionOutcomes,
  type SegmentColumn,
  type Side,
  segmentColumns,
  sides,
} from './protocol.ts';

/** A state of its own for each panel, which changes it. */
export const defaultState = (): EvaluationState => structuredClone(defaultEvaluationState);

/** A stored state made valid: what is missing, of another version or not known becomes its default. */
export function restoreState(stored: unknown): EvaluationState {
  const state = defaultState();
  if (!isObject(stored) || stored.schema !== 1) return state;
  state.before = restoreReference(stored.before);
  state.after = restoreReference(stored.after);
  if (typeof stored.imageFolder === 'string') state.imageFolder = stored.imageFolder;
  if (typeof stored.segmentation === 'string') state.segmentation = stored.segmentation;
  state.tab = oneOf(evaluationTabs, stored.tab, state.tab);
  state.reading = oneOf(regionReadings, stored.reading, state.reading);
  state.top = restoreTop(stored.top);
  const { chart, classes, matrix, segments } = stored;
  if (isObject(chart))
    state.chart = { kind: oneOf(classKinds, chart.kind, 'thing'), top: restoreTop(chart.top) };
  if (isObject(classes))
    state.classes = {
      filter: typeof classes.filter === 'string' ? classes.filter.slice(0, 200) : '',
      kind: oneOf([...classKinds, 'all'] as const, classes.kind, 'all'),
      column: oneOf<ClassColumn>(classColumns, classes.column, 'regions'),
      descending: classes.descending !== false,
    };
  if (isObject(matrix))
    state.matrix = {
      side: oneOf(matrixSides, matrix.side, 'after'),
      order: oneOf(matrixOrders, matrix.order, 'data'),
    };
  if (isObject(segments))
    state.segments = {
      column: oneOf<SegmentColumn>(segmentColumns, segments.column, 'pixels'),
      descending: segments.descending !== false,
    };
  state.selection = restoreSelection(stored.selection);
  return state;
}

function restoreSelection(stored: unknown): (RegionSelection & { side: Side }) | null {
  if (!isObject(stored)) return null;
  const { truth, named } = stored;
  if (!isPlaceOrNull(truth) || !isPlaceOrNull(named)) return null;
  return {
    truth,
    named,
    side: oneOf(sides, stored.side, 'after'),
    reading: oneOf(regionReadings, stored.reading, 'rois'),
    outcome: oneOf(regionOutcomes, stored.outcome, 'all'),
  };
}

function restoreReference(stored: unknown): ReportReference | null {
  if (!isObject(stored)) return null;
  const { kind, path, run } = stored;
  if (kind === 'file' && typeof path === 'string') return { kind, path };
  if (kind === 'latest' && typeof run === 'string') return { kind, run };
  return null;
}

function oneOf<Known extends string>(known: readonly Known[], value: unknown, fallback: Known): Known {
  return known.find(candidate => candidate === value) ?? fallback;
}

const restoreTop = (value: unknown): 1 | 5 => (value === 5 ? 5 : 1);

function isPlaceOrNull(value: unknown): value is number | null {
  return value === null || (Number.isInteger(value) && (value as number) >= 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
