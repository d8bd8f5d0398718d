import { parseWords } from '../../trainer/dense/words.ts';
import { readOuts } from '../../trainer/inspect/protocol.ts';
import type { ColumnSettings, ModelSource } from './protocol/models.ts';
import {
  type InspectorState,
  inspectorViews,
  MAXIMUM_COLUMNS,
  MAXIMUM_WORDS,
  type WordsSettings,
} from './protocol/state.ts';

/** Range of K in K-Means. */
export const K_RANGE = { minimum: 2, maximum: 20 };

/** Most rows and columns of the grid of patches with cosines. */
export const MAXIMUM_SPLIT = 8;

/** Sides of the input that are offered, pixels; the service rounds to the patch size. */
export const SIZES = [224, 336, 448, 560, 672, 896, 1024] as const;

/** How a panel begins where nothing is known. */
export function defaultState(): InspectorState {
  return {
    schema: 1,
    images: [],
    image: 0,
    view: 'kMeans',
    columns: [{ source: null, size: 448, readOut: 'value', layer: null }],
    opacity: 0.6,
    smooth: false,
    difference: false,
    colourMap: 'viridis',
    kMeans: { k: 6, seed: 0, restarts: 4, smooth: false },
    pca: { components: [0, 1, 2] },
    patches: { rows: 4, columns: 4, tokens: true },
    attention: { layer: null, head: null },
    words: { list: [], prompts: 'ensemble', temperature: 0.01, shown: null, embeddings: null },
  };
}

/** A stored state made valid: what is missing, of another version or out of range becomes its default. */
export function restoreInspectorState(stored: unknown): InspectorState {
  const state = defaultState();
  if (!isObject(stored) || stored.schema !== 1) return state;
  if (Array.isArray(stored.images))
    state.images = stored.images.filter((path): path is string => typeof path === 'string');
  state.image = whole(stored.image, 0, Math.max(state.images.length - 1, 0), state.image);
  state.view = inspectorViews.find(view => view === stored.view) ?? state.view;
  state.opacity = numberIn(stored.opacity, 0, 1, state.opacity);
  for (const key of ['smooth', 'difference'] as const) {
    const value = stored[key];
    if (typeof value === 'boolean') state[key] = value;
  }
  if (typeof stored.synced === 'boolean') state.synced = stored.synced;
  if (typeof stored.colourMap === 'string') state.colourMap = stored.colourMap;
  if (Array.isArray(stored.columns) && stored.columns.length > 0)
    state.columns = stored.columns.slice(0, MAXIMUM_COLUMNS).map(restoreColumn);
  restoreViewSettings(state, stored);
  return state;
}

function restoreViewSettings(state: InspectorState, stored: Record<string, unknown>): void {
  const { kMeans, pca, patches, attention } = stored;
  if (isObject(kMeans))
    state.kMeans = {
      k: whole(kMeans.k, K_RANGE.minimum, K_RANGE.maximum, state.kMeans.k),
      seed: whole(kMeans.seed, 0, 2 ** 31, state.kMeans.seed),
      restarts: whole(kMeans.restarts, 1, 32, state.kMeans.restarts),
      smooth: kMeans.smooth === true,
    };
  if (isObject(pca) && Array.isArray(pca.components)) {
    const [red, green, blue] = pca.components.map(component => whole(component, 0, 31, -1));
    if ([red, green, blue].every(component => component !== undefined && component >= 0))
      state.pca = { components: [red!, green!, blue!] };
  }
  if (isObject(patches))
    state.patches = {
      rows: whole(patches.rows, 1, MAXIMUM_SPLIT, state.patches.rows),
      columns: whole(patches.columns, 1, MAXIMUM_SPLIT, state.patches.columns),
      tokens: typeof patches.tokens === 'boolean' ? patches.tokens : state.patches.tokens,
    };
  if (isObject(attention))
    state.attention = {
      layer: attention.layer === null ? null : wholeOrNull(attention.layer, 1, 1000),
      head: attention.head === null ? null : wholeOrNull(attention.head, 0, 1000),
    };
  state.words = restoreWords(stored.words, state.words);
}

/** What is stored of the words, whatever wrote it. */
export function restoreWords(stored: unknown, usual: WordsSettings): WordsSettings {
  if (!isObject(stored)) return usual;
  const { list, prompts, temperature, shown, embeddings } = stored;
  const words = Array.isArray(list)
    ? list.filter((word): word is string => typeof word === 'string').slice(0, MAXIMUM_WORDS)
    : usual.list;
  return {
    list: parseWords(words.join('\n')),
    prompts: prompts === 'plain' ? 'plain' : 'ensemble',
    temperature: numberIn(temperature, 0, 10, usual.temperature),
    shown: typeof shown === 'string' ? shown : null,
    embeddings: typeof embeddings === 'string' ? embeddings : null,
  };
}

function restoreColumn(stored: unknown): ColumnSettings {
  const column = { ...defaultState().columns[0]! };
  if (!isObject(stored)) return column;
  column.source = restoreSource(stored.source);
  column.size = whole(stored.size, 16, 4096, column.size);
  column.readOut = readOuts.find(readOut => readOut === stored.readOut) ?? column.readOut;
  column.layer = wholeOrNull(stored.layer, 1, 1000);
  return column;
}

function restoreSource(stored: unknown): ModelSource | null {
  if (!isObject(stored)) return null;
  const { kind, path, directory, step } = stored;
  if (kind === 'demo') return { kind };
  if (kind === 'file' && typeof path === 'string') return { kind, path };
  if (kind === 'original' && typeof directory === 'string') return { kind, directory };
  if (kind === 'run' && typeof directory === 'string')
    return { kind, directory, step: wholeOrNull(step, 0, Number.MAX_SAFE_INTEGER) };
  return null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function numberIn(value: unknown, minimum: number, maximum: number, fallback: number): number {
  return typeof value === 'number' && value >= minimum && value <= maximum ? value : fallback;
}

function whole(value: unknown, minimum: number, maximum: number, fallback: number): number {
  return Number.isInteger(value) ? numberIn(value, minimum, maximum, fallback) : fallback;
}

function wholeOrNull(value: unknown, minimum: number, maximum: number): number | null {
  const checked = whole(value, minimum, maximum, Number.NaN);
  return Number.isNaN(checked) ? null : checked;
}
