/**
 * What the extension host and the inspector panel say to each other, defined once. Like the training panel: the panel
 * posts `ready` when it listens, the host answers with one `initial` message that carries everything needed to draw,
 * then sends increments; a second `initial` replaces all that was drawn. What the panel asks for beyond that goes
 * through `request` messages: each carries an id, is answered by exactly one `response` with that id, may be told
 * about by `progress` before, and can be given up with `cancel`.
 *
 * The host's document is `<body><main id="inspector"></main></body>` with `inspector.css` linked and `inspector.js` as
 * its only script; the panel draws inside `#inspector`. Content security policy: no inline script, no inline style
 * (style properties set from script are fine), images from `blob:`, `data:` and the extension only, no connections.
 *
 * Pixels and features travel as `ArrayBuffer`, never as JSON, and features once: a result whose `data` is null says
 * that the map of this key was sent to this document before.
 *
 * Who owns what: files own images, models and runs; the service owns feature maps; the host derives messages from both;
 * the panel owns how they are looked at (`InspectorState`), which it stores with `setState` and repeats to the host in
 * `stateChanged`, so that the next panel of the workspace begins where this one was left.
 */

import type { CocoSegmentation } from '../../trainer/dense/cocoMask.ts';
import type { DescribeResult, InspectBox, PatchGrid, ReadOut } from '../../trainer/inspect/protocol.ts';

export type { CocoSegmentation, PatchGrid, ReadOut };

/** Views of the panel, in the order of its tabs; later views (those that need words) are added here. */
export const inspectorViews = [
  'patches',
  'kMeans',
  'pca',
  'similarity',
  'regions',
  'norms',
  'attention',
] as const;
export type InspectorView = (typeof inspectorViews)[number];

/** At most this many columns are compared side by side. */
export const MAXIMUM_COLUMNS = 4;

/** [x0, y0, x1, y1] in pixels of the image file, upright. */
export type Box = InspectBox;

// ---- models ----

/** The weights a column looks through. Two sources are the same when their `sourceKey`s are. */
export type ModelSource =
  | { kind: 'demo' }
  /** Weights file or model directory, absolute. */
  | { kind: 'file'; path: string }
  /** Student of a run: the saved α-blend when `step` is null, else the raw student of a saved checkpoint. */
  | { kind: 'run'; directory: string; step: number | null }
  /** The original model that a run started from: its teacher. */
  | { kind: 'original'; directory: string };

export function sourceKey(source: ModelSource): string {
  switch (source.kind) {
    case 'demo':
      return 'demo';
    case 'file':
      return `file:${source.path}`;
    case 'run':
      return `run:${source.directory}#${source.step ?? 'student'}`;
    case 'original':
      return `original:${source.directory}`;
  }
}

/** A model that can be picked. */
export interface ModelChoice {
  source: ModelSource;
  label: string;
  /** A second line: path inside the workspace, or the run's state. */
  detail: string;
  group: 'demo' | 'recent' | 'workspace' | 'run';
}

/** A run with its saved checkpoints, for the step slider. */
export interface RunSteps {
  /** Absolute path of the run directory. */
  directory: string;
  name: string;
  /** A trainer is at work on it: checkpoints will come and go. */
  live: boolean;
  /** Steps with a complete checkpoint, ascending. */
  steps: number[];
  /** `student.safetensors` exists. */
  hasStudent: boolean;
  /** Its modification time in milliseconds; another one means that its maps are out of date. */
  studentTime?: number;
}

/** What is known of a model once the service has opened it. */
export type ModelDescription = Omit<DescribeResult, 'source' | 'steps'>;

/** One column of the comparison. */
export interface ColumnSettings {
  /** Null: no model yet; the panel offers the demo model. */
  source: ModelSource | null;
  /** Side of the network's square input in pixels. */
  size: number;
  readOut: ReadOut;
  /** Block after which features are taken, counted from 1; null is the last one. */
  layer: number | null;
}

// ---- requests ----

/** Which feature map. `image` is an index into `initial.images`. */
export interface FeatureQuery extends ColumnSettings {
  image: number;
  source: ModelSource;
}

export interface FeaturesResult {
  /** Names this map in later requests. */
  key: string;
  /** Little-endian float16 [rows, columns, dimension], unit norm; null where this document has it already. */
  data: ArrayBuffer | null;
  rows: number;
  columns: number;
  /** Rows and columns that hold image rather than padding. */
  valid: PatchGrid;
  dimension: number;
  /** Size of the image file in pixels. */
  imageWidth: number;
  imageHeight: number;
  patchSize: number;
  /** Size of the input as computed, pixels. */
  size: number;
  milliseconds: { decode: number; forward: number; total: number };
  /** Taken from the disk cache: no forward pass was needed. */
  cached: boolean;
}

export interface KMeansQuery {
  /** Maps to cluster, each on its own; clusters are matched, so that the same number is the same colour in all. */
  keys: string[];
  k: number;
  seed: number;
  restarts: number;
  /** 3 × 3 median smoothing of the labels. */
  smooth: boolean;
  /** Map whose clusters give the others their numbers; null for the first of `keys`. */
  reference: string | null;
}

export interface KMeansResult {
  maps: {
    key: string;
    /** Cluster of each patch, row-major over rows × columns; −1 on padding. */
    labels: number[];
    /** Share of the image's patches in each cluster, k numbers. */
    shares: number[];
  }[];
  milliseconds: number;
}

export interface PcaQuery {
  /** Maps that share one basis. */
  keys: string[];
  /** Which principal components are drawn as red, green and blue, counted from 0. */
  components: [number, number, number];
}

export interface PcaResult {
  maps: {
    key: string;
    /** Bytes [rows, columns, 3], row-major, black on padding. */
    rgb: ArrayBuffer;
  }[];
  /** Share of the variance that each component explains, strongest first. */
  explainedVariance: number[];
  milliseconds: number;
}

export interface PatchesQuery {
  image: number;
  source: ModelSource;
  /** The teacher whose crop embeddings are compared with; null takes the model itself (or the run's original). */
  teacher: ModelSource | null;
  size: number;
  rows: number;
  columns: number;
}

export interface PatchesResult {
  /** Row-major cells of the grid. */
  boxes: Box[];
  /** Cosine of the pooled dense feature and the embedding of the crop, one per box. */
  cosines: number[];
  mean: number;
}

export interface RegionsQuery {
  image: number;
  source: ModelSource;
  /** As in `PatchesQuery`. */
  teacher: ModelSource | null;
  size: number;
  readOut: ReadOut;
  layer: number | null;
  boxes: Box[];
  /** One per box; null where features are pooled over the box itself. */
  masks: (CocoSegmentation | null)[];
}

export interface RegionsResult {
  /** Pooled dense feature and embedding of the same crop, one per box. */
  cosines: number[];
  /** Place of the region's own crop among the crops of all boxes, by cosine to its dense feature; 1 is best. */
  ranks: number[];
  /** Share of regions whose own crop comes first. */
  top1: number;
}

export interface CropQuery {
  image: number;
  /** Whose teacher sees it. */
  source: ModelSource;
  box: Box;
}

/** The crop as the teacher sees it. */
export interface CropResult {
  /** Width and height in pixels. */
  side: number;
  /** Bytes [side, side, 3]. */
  rgb: ArrayBuffer;
}

export interface NormsResult {
  rows: number;
  columns: number;
  valid: PatchGrid;
  /** Norm of each token before normalisation, row-major [rows, columns], padding included. */
  norms: number[];
}

export interface AttentionQuery {
  image: number;
  source: ModelSource;
  size: number;
  /** Block, counted from 1. */
  layer: number;
  /** Row-major index of the patch whose attention is asked for; null is the class token. */
  query: number | null;
}

export interface AttentionResult {
  /** Little-endian float32 [heads + 1, rows, columns]; the last map is the rollout. */
  data: ArrayBuffer;
  heads: number;
  rows: number;
  columns: number;
  valid: PatchGrid;
}

/** A file that the panel drew. */
export interface SaveQuery {
  /** Proposed name without a folder, with its extension: `scene-kmeans.png`. */
  name: string;
  kind: 'png' | 'svg' | 'csv';
  bytes: ArrayBuffer;
}

export interface SaveFeaturesQuery {
  /** A map that was asked for before. */
  key: string;
  format: 'npy' | 'safetensors';
}

/** What the copied command line reproduces; the host fills in the model's path and quotes. */
export interface CopyCommandQuery {
  view: InspectorView;
  query: FeatureQuery;
  /** K-Means. */
  k?: number;
  seed?: number;
  restarts?: number;
  smooth?: boolean;
  /** PCA. */
  components?: [number, number, number];
  /** Similarity: row-major index of the query patch. */
  patch?: number;
  /** Patch grid. */
  rows?: number;
  columns?: number;
  /** Regions. */
  boxes?: Box[];
  /** Regions: some have masks, which the command line does not take. */
  masked?: boolean;
}

export interface LoadedBoxes {
  /** Name of the file they came from. */
  file: string;
  boxes: { box: Box; label: string; mask: CocoSegmentation | null }[];
}

/** Every request of the panel: what it takes and what it gives. A dialogue that the user dismisses gives null. */
export interface InspectorRequests {
  describe: { query: { source: ModelSource }; result: ModelDescription };
  features: { query: FeatureQuery; result: FeaturesResult };
  kMeans: { query: KMeansQuery; result: KMeansResult };
  pca: { query: PcaQuery; result: PcaResult };
  patches: { query: PatchesQuery; result: PatchesResult };
  regions: { query: RegionsQuery; result: RegionsResult };
  crop: { query: CropQuery; result: CropResult };
  norms: { query: FeatureQuery; result: NormsResult };
  attention: { query: AttentionQuery; result: AttentionResult };
  /** Opens a file dialogue for a model. */
  browseModel: { query: null; result: ModelSource | null };
  /** Asks which published model to fetch from the hub, and fetches it. */
  getModel: { query: null; result: ModelSource | null };
  /** Opens a file dialogue for COCO-style annotations and takes those of this image. */
  loadBoxes: { query: { image: number }; result: LoadedBoxes | null };
  /** Opens a save dialogue; the result is the path written. */
  save: { query: SaveQuery; result: string | null };
  saveFeatures: { query: SaveFeaturesQuery; result: string | null };
  /** Puts the line on the clipboard and returns it. */
  copyCommand: { query: CopyCommandQuery; result: string };
}

export type InspectorMethod = keyof InspectorRequests;
export type QueryOf<Method extends InspectorMethod> = InspectorRequests[Method]['query'];
export type ResultOf<Method extends InspectorMethod> = InspectorRequests[Method]['result'];

/**
 * Why a request failed. `cancelled`: the panel gave it up. `model`, `image`: that file cannot be used. `imageGone`: it
 * does not exist. `readOut`: this model does not have it. `size`: this model cannot take it. `memory`: a smaller size
 * may work. `unknownKey`: the map fell out of the cache, ask for the features again. `trust`: the workspace is not
 * trusted. `service`: the service ended; asking again starts another.
 */
export type ProblemKind =
  | 'cancelled'
  | 'model'
  | 'image'
  | 'imageGone'
  | 'readOut'
  | 'size'
  | 'memory'
  | 'unknownKey'
  | 'trust'
  | 'service'
  | 'other';

export interface InspectorProblem {
  kind: ProblemKind;
  /** One sentence for the user. */
  message: string;
  /** `size`: the nearest that works; `memory`: a smaller one that may. */
  suggestedSize?: number;
}

// ---- host to panel ----

/** One image of the panel; its bytes follow in an `image` message when it is shown. */
export interface PanelImage {
  /** Absolute path. */
  path: string;
  /** Shortest name that tells it from the others: shown in the image switcher. */
  name: string;
}

/** The answer to `ready`. */
export interface InspectorInitialMessage {
  kind: 'initial';
  images: PanelImage[];
  models: ModelChoice[];
  runs: RunSteps[];
  /** How to begin: restored after a reload, else what the workspace remembers, else the settings. */
  state: InspectorState;
  /** False where the workspace is not trusted: images show, nothing is computed, and the panel says so. */
  trusted: boolean;
}

/** An image's bytes, or why there are none. Answers `showImage`, and is sent again when the file changed. */
export interface ImageMessage {
  kind: 'image';
  image: number;
  /** The file changed since it was last sent: feature maps of it are out of date, ask for them again. */
  changed: boolean;
  /** MIME type of `bytes`, such as `image/jpeg`; null where there are none. */
  type: string | null;
  /**
   * The encoded file as it lies on the disk; a TIFF comes as PNG. Draw it without its EXIF orientation
   * (`createImageBitmap(blob, {imageOrientation: 'none'})`): models see the stored pixels, and boxes count in them.
   */
  bytes: ArrayBuffer | null;
  /** One sentence: the file is gone, too large to be sent, unreadable, or of a kind that browsers do not draw. */
  problem: string | null;
  /** The file does not exist (any more); features of it cannot be computed. */
  gone: boolean;
}

/** Models were found, or runs began, ended or saved a checkpoint. */
export interface ModelsMessage {
  kind: 'models';
  models: ModelChoice[];
  runs: RunSteps[];
}

/** The workspace was trusted while the panel is open. */
export interface InspectorTrustMessage {
  kind: 'trust';
  trusted: boolean;
}

/** The command was called again on this panel: show this image, with these settings where given. */
export interface ShowMessage {
  kind: 'show';
  image: number;
  view: InspectorView | null;
  column: Partial<ColumnSettings>;
}

/** How far a request is; between its `request` and its `response`. */
export interface RequestProgressMessage {
  kind: 'progress';
  id: number;
  /** One or a few words: "Loading the model". */
  stage: string;
  /** 0 … 1; null while unknown. */
  fraction: number | null;
}

/** `problem` is null on success, and then `result` is what the request's method promises. */
export interface ResponseMessage {
  kind: 'response';
  id: number;
  result: ResultOf<InspectorMethod> | null;
  problem: InspectorProblem | null;
}

export type MessageToInspector =
  | InspectorInitialMessage
  | ImageMessage
  | ModelsMessage
  | InspectorTrustMessage
  | ShowMessage
  | RequestProgressMessage
  | ResponseMessage;

// ---- panel to host ----

/** The panel listens: send `initial`. It has no feature maps yet. */
export interface InspectorReadyMessage {
  kind: 'ready';
  /** What `getState` holds after a reload, null in a new panel. */
  state: InspectorState | null;
}

/** The image in view is this one: send its bytes and follow its file. */
export interface ShowImageMessage {
  kind: 'showImage';
  image: number;
}

export interface RequestMessageOf<Method extends InspectorMethod> {
  kind: 'request';
  id: number;
  method: Method;
  query: QueryOf<Method>;
}

export type RequestMessage = { [Method in InspectorMethod]: RequestMessageOf<Method> }[InspectorMethod];

export interface CancelMessage {
  kind: 'cancel';
  id: number;
}

/** The panel let go of this map to save memory: send its values again when it is next asked for. */
export interface ReleasedMessage {
  kind: 'released';
  key: string;
}

/** Model, size, view, … were changed; posted at most a few times a second. The panel calls `setState` itself. */
export interface StateChangedMessage {
  kind: 'stateChanged';
  state: InspectorState;
}

/** Something broke inside the panel; it goes to the log channel. */
export interface InspectorErrorMessage {
  kind: 'panelError';
  message: string;
}

export type MessageFromInspector =
  | InspectorReadyMessage
  | ShowImageMessage
  | RequestMessage
  | CancelMessage
  | ReleasedMessage
  | StateChangedMessage
  | InspectorErrorMessage;

// ---- what the panel persists ----

/** Name of a colour map of `trainer/dense/colourMaps.ts`. */
export type ColourMapName = string;

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
}
