/**
 * What the inspector service and the extension say to each other: JSON-RPC (`vscode-jsonrpc`) over the stdin and stdout
 * of `cli.js inspect-service`. Feature maps never travel in messages: the service writes them to files of its cache
 * folder and answers with their paths. This module imports types alone.
 */

import type { CocoSegmentation } from '../dense/cocoMask.ts';

/**
 * How dense features are read out of the last block of a transformer.
 * - `value`: value path of the last block without attention; the read-out that CLIPSelf trains (the default).
 * - `tokens`: tokens after the whole last block, with its full attention, projected.
 * - `queryQuery`, `keyKey`, `valueValue`: the last block attends by softmax(q qᵀ/√d), k kᵀ or v vᵀ, residual kept.
 * - `maskAttention`: the class token attends within a box (only for boxes, not for maps).
 */
export const readOuts = ['value', 'tokens', 'queryQuery', 'keyKey', 'valueValue', 'maskAttention'] as const;

export type ReadOut = (typeof readOuts)[number];

/** A model: a weights file, a model directory, or a run directory (its student, or one of its checkpoints). */
export interface ModelReference {
  /** Absolute path. */
  path: string;
  /** Known architecture name or path of an `open_clip_config.json`; null where the model itself tells. */
  arch: string | null;
  /**
   * Run directory only: the checkpoint of this step; null for the run's `student.safetensors`, or while there is none
   * for its latest checkpoint, blended with the run's own α.
   */
  step: number | null;
  /** With `step`: share α of the student in the blend with the run's source model; null for the raw student (α = 1). */
  blend: number | null;
}

/** Rows × columns of patches. */
export interface PatchGrid {
  rows: number;
  columns: number;
}

/** [x0, y0, x1, y1] in stored pixels, as everything here counts: the EXIF rotation of a file is never applied. */
export type InspectBox = [number, number, number, number];

export interface DescribeParams {
  model: ModelReference;
}

export interface DescribeResult {
  /** Such as `ViT-B-16 · openclip`. */
  name: string;
  patchSize: number;
  /** `size` must be a multiple of this: 1 for transformers, which take any size from one patch on. */
  sizeStep: number;
  /** Side of the images it was pretrained on; a good default for `size` is a multiple of it. */
  imageSize: number;
  /** Blocks; a `layer` is 1 … layers. */
  layers: number;
  heads: number;
  /** Channels of its dense features. */
  dimension: number;
  /** Identifies weights, step and blend; hex. */
  hash: string;
  /** Of its maps; `maskAttention`, which has none, is not among them. */
  readOuts: ReadOut[];
  /** True when regions can be read by `maskAttention`. */
  maskAttention: boolean;
  /** True when `inspect/attention` works for it. */
  attention: boolean;
  /** Steps of the checkpoints of a run directory, ascending; empty for other models. */
  steps: number[];
  /** The step that was described; null for a run's `student.safetensors` and for models that are no run. */
  step: number | null;
  /** The model a run started from, null when the reference is no run directory. */
  source: ModelReference | null;
  /** What is unusual about the model, one sentence each. */
  warnings: string[];
}

export interface FeaturesParams {
  model: ModelReference;
  /** Absolute path of an image. */
  image: string;
  /** Longest side of the network's square input in pixels. */
  size: number;
  readOut: ReadOut;
  /** Block that is read out, 1 … layers; null for the last. Later blocks do not run. */
  layer: number | null;
  /** Clusters that are wanted with the map: asked for after it, they would come a way and back later. */
  clusters?: ClusterSettings | null;
}

export interface MapResult {
  /** Names this map in later requests. */
  key: string;
  rows: number;
  columns: number;
  /** Rows and columns that hold image; the rest is padding. */
  valid: PatchGrid;
  dimension: number;
  /** Of the image in stored pixels: its EXIF rotation is not applied. */
  imageWidth: number;
  imageHeight: number;
  patchSize: number;
  size: number;
  /** `forward` is 0 when cached; `total` is from the request to the answer, waiting for other requests left out. */
  milliseconds: { decode: number; forward: number; total: number };
  cached: boolean;
}

export interface FeaturesResult extends MapResult {
  /** Null where none were asked for, or the map cannot be divided so: `inspect/kMeans` says why. */
  clusters: KMeansMap | null;
}

/** Answered when the file is there; `inspect/features` and what comes of a map do not wait for it. */
export interface MapFileParams {
  key: string;
}

export interface MapFileResult {
  /** Raw little-endian float16 [rows, columns, dimension], each patch of unit norm. */
  file: string;
}

/** How a map is clustered. */
export interface ClusterSettings {
  /** 2 … 64. */
  k: number;
  seed: number;
  restarts: number;
  /** 3 × 3 median smoothing of the labels. */
  smooth: boolean;
}

export interface KMeansParams extends ClusterSettings {
  /** Maps to cluster, each on its own. */
  keys: string[];
  /** Map whose clusters give the others their numbers (colours); null for the first of `keys`. */
  reference: string | null;
}

export interface KMeansMap {
  key: string;
  /** Cluster of each patch, row-major [rows, columns]; −1 on padding. Same number, same colour, in every map. */
  labels: number[];
  /** Share of the image of each cluster, adding up to 1. */
  shares: number[];
}

export interface KMeansResult {
  maps: KMeansMap[];
  milliseconds: number;
}

export interface PcaParams {
  /** Maps that share one basis; their dimensions must agree. */
  keys: string[];
  /** Number of the last component that is to be shown, from 0; at least eight are fitted where there are so many. */
  highest: number;
}

export interface PcaMap {
  key: string;
  /** Base64 of little-endian float32 [valid cells, components]: where the cells lie along all that were fitted. */
  coordinates: string;
}

export interface PcaResult {
  maps: PcaMap[];
  /** Share of the variance of each component from the first on, as many as were fitted. */
  explainedVariance: number[];
  milliseconds: number;
}

export interface PatchesParams {
  model: ModelReference;
  /** Whose crop embeddings are compared; null for the run's source model, or the model itself if it is no run. */
  teacher: ModelReference | null;
  image: string;
  size: number;
  /** Grid of the whole image. */
  rows: number;
  columns: number;
  /** As in `RegionsParams`. */
  readOut?: ReadOut;
  layer?: number | null;
}

export interface PatchesResult {
  /** Row-major cells of the grid. */
  boxes: InspectBox[];
  /** Cosine of the pooled dense feature and the teacher's embedding of the crop, one per box. */
  cosines: number[];
  mean: number;
}

export interface RegionsParams {
  model: ModelReference;
  /** As in `PatchesParams`. */
  teacher: ModelReference | null;
  image: string;
  size: number;
  boxes: InspectBox[];
  /** One per box: features are pooled over it instead of the box, if it covers a pixel. The crop stays the box. */
  masks?: (CocoSegmentation | null)[];
  /** How regions are read; `value` without it. `maskAttention` takes boxes only and is for CLIP ViTs. */
  readOut?: ReadOut;
  /** As in `FeaturesParams`; `maskAttention` goes through all. */
  layer?: number | null;
}

export interface RegionsResult {
  /** The region's feature and the embedding of the same crop. */
  cosines: number[];
  /** Place of the region's own crop among the crops of all boxes, by cosine to its dense feature; 1 is the best. */
  ranks: number[];
  /** Share of regions whose own crop comes first. */
  top1: number;
  /** Channels of the two below. */
  dimension: number;
  /** Base64 of little-endian float32 [boxes, dimension] of unit norm: the regions' features. */
  dense: string;
  /** The same of the crops' embeddings. */
  crops: string;
}

/** What is read of a word: the mean direction of the built-in prompts with it, or the word as it is typed. */
export type WordPrompts = 'ensemble' | 'plain';

export interface WordsParams {
  /** Its text tower reads; that of a run's source model where it is a run, whose text tower is not trained. */
  model: ModelReference;
  /** At most 1,000. */
  words: string[];
  prompts: WordPrompts;
  /** A `.npy` file [words, dimension] that has the embeddings instead, in the order of `words`; absolute path. */
  embeddings: string | null;
}

export interface WordsResult {
  dimension: number;
  /** Base64 of little-endian float32 [words, dimension], every row of unit norm. */
  data: string;
}

/** Norms of the tokens after block `layer` (the last when null), before normalisation and projection. */
export type NormsParams = Omit<FeaturesParams, 'clusters'>;

export interface NormsResult {
  /** One per patch, row-major [rows, columns], padding included. */
  norms: number[];
  rows: number;
  columns: number;
  valid: PatchGrid;
}

export interface AttentionParams {
  model: ModelReference;
  image: string;
  size: number;
  /** 1 … layers. */
  layer: number;
  /** Row-major index of the querying patch; null for the class token. */
  query: number | null;
}

export interface AttentionResult {
  /** Raw little-endian float32 [heads + 1, rows, columns]; the last map is the rollout up to this layer. */
  file: string;
  heads: number;
  rows: number;
  columns: number;
  valid: PatchGrid;
}

export interface CropParams {
  model: ModelReference;
  image: string;
  box: InspectBox;
}

/** The crop as the teacher sees it: letterboxed square. */
export interface CropResult {
  side: number;
  /** Base64 of bytes [side, side, 3]. */
  rgb: string;
}

/** Method names of the requests. */
export const inspectRequests = {
  describe: 'inspect/describe',
  features: 'inspect/features',
  mapFile: 'inspect/mapFile',
  kMeans: 'inspect/kMeans',
  pca: 'inspect/pca',
  patches: 'inspect/patches',
  regions: 'inspect/regions',
  norms: 'inspect/norms',
  attention: 'inspect/attention',
  crop: 'inspect/crop',
  words: 'inspect/words',
} as const;

/** Params and result of each request, by the names above. */
export interface InspectRequestTypes {
  describe: { params: DescribeParams; result: DescribeResult };
  features: { params: FeaturesParams; result: FeaturesResult };
  mapFile: { params: MapFileParams; result: MapFileResult };
  kMeans: { params: KMeansParams; result: KMeansResult };
  pca: { params: PcaParams; result: PcaResult };
  patches: { params: PatchesParams; result: PatchesResult };
  regions: { params: RegionsParams; result: RegionsResult };
  norms: { params: NormsParams; result: NormsResult };
  attention: { params: AttentionParams; result: AttentionResult };
  crop: { params: CropParams; result: CropResult };
  words: { params: WordsParams; result: WordsResult };
}

/** Notification from the service; every request's params may carry an `id: number`, which comes back in it. */
export const inspectProgress = 'inspect/progress';

export type InspectStage =
  | 'waiting'
  | 'loading model'
  | 'decoding'
  | 'forward'
  | 'reading words'
  | 'writing'
  | 'computing';

export interface InspectProgress {
  id: number;
  stage: InspectStage;
  /** 0 … 1 of the whole request, never falling. */
  fraction: number;
}

/** Codes of error answers; the message is one clear sentence, `data` is an `InspectErrorData`. */
export const inspectErrors = {
  badRequest: -31001,
  imageNotFound: -31002,
  imageUnreadable: -31003,
  modelUnreadable: -31004,
  readOutUnsupported: -31005,
  sizeUnsuitable: -31006,
  outOfMemory: -31007,
  /** The key is not (any more) in the cache: ask for the features again. */
  unknownKey: -31008,
  /** The cache folder cannot be written: full, read-only and the like. */
  cacheUnwritable: -31009,
  /** The model cannot read words. */
  noTextTower: -31010,
  /** A file with embeddings of words cannot be used. */
  wordsUnreadable: -31011,
  /** JSON-RPC's own code of a cancelled request. */
  cancelled: -32800,
} as const;

export interface InspectErrorData {
  /** `sizeUnsuitable`: the nearest size that works; `outOfMemory`: the largest one that fits. */
  suggestedSize?: number;
}
