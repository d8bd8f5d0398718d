import type { WordPrompts } from '../../../trainer/inspect/protocol.ts';
import type { ColumnSettings } from './models.ts';

/** Views of the panel, in the order of its tabs; `views/viewList.ts` makes them. */
export const inspectorViews = [
  'patches',
  'kMeans',
  'pca',
  'similarity',
  'words',
  'regions',
  'norms',
  'attention',
] as const;
export type InspectorView = (typeof inspectorViews)[number];

/** At most this many columns are compared side by side. */
export const MAXIMUM_COLUMNS = 4;

/** Name of a colour map of `trainer/dense/colourMaps.ts`. */
export type ColourMapName = string;

/** The words that patches, clusters and regions are named by. */
export interface WordsSettings {
  /** As they are typed, in this order, each once. */
  list: string[];
  prompts: WordPrompts;
  /** Of the softmax over the words; 0 gives a patch to its nearest word. */
  temperature: number;
  /** The word whose map is shown; null for the segmentation. */
  shown: string | null;
  /** A `.npy` file that has the embeddings of the list, absolute; null where the model reads the words. */
  embeddings: string | null;
}

/** At most so many words. */
export const MAXIMUM_WORDS = 1000;

/**
 * The argument of the webview's `setState`, which VS Code keeps over a reload; the host reads `images` from it to
 * restore the panel. The host also remembers it for the workspace, without `images` and `image`.
 */
export interface InspectorState {
  schema: 1;
  /** Absolute paths; the panel repeats what `initial` said. */
  images: string[];
  /** Index of the image in view. */
  image: number;
  view: InspectorView;
  /** One to `MAXIMUM_COLUMNS`. */
  columns: ColumnSettings[];
  /** Opacity of the overlay, 0 … 1. */
  opacity: number;
  /** Overlays are interpolated rather than shown as patches. */
  smooth: boolean;
  /** The last column is shown as difference to the first. */
  difference: boolean;
  /** Columns pan and zoom together; absent means that they do. */
  synced?: boolean;
  colourMap: ColourMapName;
  kMeans: { k: number; seed: number; restarts: number; smooth: boolean };
  pca: { components: [number, number, number] };
  patches: { rows: number; columns: number; tokens: boolean };
  attention: { layer: number | null; head: number | null };
  words: WordsSettings;
}
