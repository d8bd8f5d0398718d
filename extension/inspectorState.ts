import path from 'node:path';
import { readOuts } from '../trainer/inspect/protocol.ts';
import type { ColumnSettings, ModelSource } from '../webview/inspector/protocol/models.ts';
import type { LoadedBoxes } from '../webview/inspector/protocol/requests.ts';
import {
  type InspectorState,
  type InspectorView,
  inspectorViews,
  MAXIMUM_COLUMNS,
  MAXIMUM_WORDS,
  type WordsSettings,
} from '../webview/inspector/protocol/state.ts';

/** Bounds of the input's side, in pixels. */
export const SIZE_RANGE = { minimum: 32, maximum: 4096 } as const;
/** Largest number of images in one panel. */
export const MAXIMUM_IMAGES = 200;

export interface InspectorDefaults {
  size: number;
  colourMap: string;
}

/** How a panel begins where nothing is remembered: no model yet. */
export function defaultState({ size, colourMap }: InspectorDefaults): InspectorState {
  return {
    schema: 1,
    images: [],
    image: 0,
    view: 'kMeans',
    columns: [{ source: null, size, readOut: 'value', layer: null }],
    opacity: 0.6,
    smooth: false,
    difference: false,
    colourMap,
    kMeans: { k: 6, seed: 0, restarts: 4, smooth: false },
    pca: { components: [0, 1, 2] },
    patches: { rows: 4, columns: 4, tokens: false },
    attention: { layer: null, head: null },
    words: { list: [], prompts: 'ensemble', temperature: 0.01, shown: null, embeddings: null },
  };
}

export function isInspectorView(value: unknown): value is InspectorView {
  return inspectorViews.some(view => view === value);
}

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};

const wholeWithin = (value: unknown, minimum: number, maximum: number): value is number =>
  Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum;

const whole = (value: unknown, minimum: number, maximum: number, otherwise: number): number =>
  wholeWithin(value, minimum, maximum) ? value : otherwise;

const flag = (value: unknown, otherwise: boolean): boolean =>
  typeof value === 'boolean' ? value : otherwise;

const isPath = (value: unknown): value is string => typeof value === 'string' && path.isAbsolute(value);

/** A model source of a persisted state; null when it is none. */
export function parseSource(value: unknown): ModelSource | null {
  const { kind, path: file, directory, step } = fieldsOf(value);
  if (kind === 'demo') return { kind };
  if (kind === 'file' && isPath(file)) return { kind, path: file };
  if (kind === 'original' && isPath(directory)) return { kind, directory };
  if (kind !== 'run' || !isPath(directory)) return null;
  return { kind, directory, step: wholeWithin(step, 0, Number.MAX_SAFE_INTEGER) ? step : null };
}

function parseColumn(value: unknown, fallback: ColumnSettings): ColumnSettings {
  const { source, size, readOut, layer } = fieldsOf(value);
  return {
    source: parseSource(source),
    size: whole(size, SIZE_RANGE.minimum, SIZE_RANGE.maximum, fallback.size),
    readOut: readOuts.find(known => known === readOut) ?? fallback.readOut,
    layer: wholeWithin(layer, 1, 1000) ? layer : null,
  };
}

function parseComponents(value: unknown, fallback: [number, number, number]): [number, number, number] {
  if (!Array.isArray(value) || value.length !== 3) return fallback;
  const [red, green, blue] = value.map((entry, index) => whole(entry, 0, 63, fallback[index]!));
  return [red!, green!, blue!];
}

function parseWordsSettings(value: unknown, fallback: WordsSettings): WordsSettings {
  const { list, prompts, temperature, shown, embeddings } = fieldsOf(value);
  const words = Array.isArray(list) ? list.filter(word => typeof word === 'string' && word !== '') : [];
  const isTemperature = typeof temperature === 'number' && temperature >= 0 && temperature <= 10;
  return {
    list: [...new Set<string>(words)].slice(0, MAXIMUM_WORDS),
    prompts: prompts === 'plain' ? 'plain' : 'ensemble',
    temperature: isTemperature ? temperature : fallback.temperature,
    shown: typeof shown === 'string' ? shown : null,
    embeddings: isPath(embeddings) ? embeddings : null,
  };
}

/** A state that was stored by any version; whatever cannot be used is replaced by the default. */
export function parseState(value: unknown, defaults: InspectorDefaults): InspectorState {
  const fallback = defaultState(defaults);
  const stored = fieldsOf(value);
  if (stored.schema !== 1) return fallback;
  const images = Array.isArray(stored.images) ? stored.images.filter(isPath).slice(0, MAXIMUM_IMAGES) : [];
  const columns = Array.isArray(stored.columns) ? stored.columns.slice(0, MAXIMUM_COLUMNS) : [];
  const [first] = fallback.columns;
  const kMeans = fieldsOf(stored.kMeans);
  const patches = fieldsOf(stored.patches);
  const attention = fieldsOf(stored.attention);
  const { opacity, colourMap } = stored;
  return {
    schema: 1,
    images,
    image: whole(stored.image, 0, Math.max(0, images.length - 1), 0),
    view: isInspectorView(stored.view) ? stored.view : fallback.view,
    columns: columns.length === 0 ? fallback.columns : columns.map(column => parseColumn(column, first!)),
    opacity: typeof opacity === 'number' && opacity >= 0 && opacity <= 1 ? opacity : fallback.opacity,
    smooth: flag(stored.smooth, fallback.smooth),
    difference: flag(stored.difference, fallback.difference),
    ...(stored.synced === false ? { synced: false } : {}),
    colourMap:
      typeof colourMap === 'string' && /^[\w-]{1,40}$/.test(colourMap) ? colourMap : fallback.colourMap,
    kMeans: {
      k: whole(kMeans.k, 2, 20, fallback.kMeans.k),
      seed: whole(kMeans.seed, 0, 2 ** 31 - 1, fallback.kMeans.seed),
      restarts: whole(kMeans.restarts, 1, 50, fallback.kMeans.restarts),
      smooth: flag(kMeans.smooth, fallback.kMeans.smooth),
    },
    pca: { components: parseComponents(fieldsOf(stored.pca).components, fallback.pca.components) },
    patches: {
      rows: whole(patches.rows, 1, 64, fallback.patches.rows),
      columns: whole(patches.columns, 1, 64, fallback.patches.columns),
      tokens: flag(patches.tokens, fallback.patches.tokens),
    },
    attention: {
      layer: wholeWithin(attention.layer, 1, 1000) ? attention.layer : null,
      head: wholeWithin(attention.head, 0, 1000) ? attention.head : null,
    },
    words: parseWordsSettings(stored.words, fallback.words),
  };
}

/** What the command was asked for beyond the images. */
export interface InspectorWishes {
  source?: ModelSource;
  size?: number;
  view?: InspectorView;
  /** Regions to mark in the image. */
  boxes?: LoadedBoxes['boxes'];
}

/** The state with what was asked for in its first column. */
export function withWishes(state: InspectorState, { source, size, view }: InspectorWishes): InspectorState {
  const [first, ...others] = state.columns;
  const column = {
    ...first!,
    ...(source === undefined ? {} : { source }),
    ...(size === undefined ? {} : { size }),
  };
  return { ...state, view: view ?? state.view, columns: [column, ...others] };
}

/** What the workspace remembers: the state without the images it was about. */
export function rememberedPart(state: InspectorState): InspectorState {
  return { ...state, images: [], image: 0 };
}
