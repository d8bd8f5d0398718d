import type { TrainingPanelState } from './protocol.ts';

/** How the panel is looked at where nothing was stored. */
const defaults = { smoothing: 0.6, logScale: false, showTable: false, showConfiguration: false };

/**
 * The stored state of a panel, made valid: what is missing, of another version or out of range becomes its default.
 * `directory` is the run directory that the host wrote into the document; it wins over the stored one.
 */
export function restoreState(stored: unknown, directory: string): TrainingPanelState {
  const state: TrainingPanelState = { schema: 1, directory, ...defaults };
  if (typeof stored !== 'object' || stored === null) return state;
  const candidate = stored as Record<string, unknown>;
  if (candidate.schema !== 1) return state;
  if (directory === '' && typeof candidate.directory === 'string') state.directory = candidate.directory;
  const { smoothing } = candidate;
  if (typeof smoothing === 'number' && smoothing >= 0 && smoothing < 1) state.smoothing = smoothing;
  for (const key of ['logScale', 'showTable', 'showConfiguration'] as const) {
    const value = candidate[key];
    if (typeof value === 'boolean') state[key] = value;
  }
  return state;
}
