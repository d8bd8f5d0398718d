/**
 * What the panel asks of the host. The host passes most of it on to the inspector service, so these types are the
 * service's own (`trainer/inspect/protocol.ts`) with two changes: the panel names images by their index and models by
 * their source, and what the service puts in files or Base64 travels to the panel as `ArrayBuffer`.
 */

import type { CocoSegmentation } from '../../../trainer/dense/cocoMask.ts';
import type * as service from '../../../trainer/inspect/protocol.ts';
import type { ColumnSettings, ModelDescription, ModelSource } from './models.ts';
import type { InspectorView, WordsSettings } from './state.ts';

/** [x0, y0, x1, y1] in pixels of the image file, upright. */
export type Box = service.InspectBox;

/** The service's parameters as the panel gives them. */
type Asked<Params> = Omit<Params, 'model' | 'image' | 'teacher'> & {
  /** An index into `initial.images`. */
  image: number;
  source: ModelSource;
} & ('teacher' extends keyof Params
    ? {
        /** The teacher whose crop embeddings are compared with; null takes the model itself (or the run's original). */
        teacher: ModelSource | null;
      }
    : unknown);

/** Which feature map. */
export interface FeatureQuery extends ColumnSettings {
  /** An index into `initial.images`. */
  image: number;
  source: ModelSource;
}

/** A feature map, and the clusters that are wanted with it. */
export type FeaturesQuery = FeatureQuery & { clusters: ClusterSettings | null };

export type ClusterSettings = service.ClusterSettings;
export type FeaturesResult = service.FeaturesResult;
export type MapResult = service.MapResult;

export interface MapValuesQuery {
  /** A map that was asked for before. */
  key: string;
}

export interface MapValuesResult {
  /** Little-endian float16 [rows, columns, dimension], unit norm. */
  data: ArrayBuffer;
}

export type KMeansQuery = service.KMeansParams;
export type KMeansResult = service.KMeansResult;
export type KMeansMap = service.KMeansMap;

export type PcaQuery = service.PcaParams;
export type PcaResult = Omit<service.PcaResult, 'maps'> & {
  maps: {
    key: string;
    /** Little-endian float32 [valid cells, components]. */
    coordinates: ArrayBuffer;
  }[];
};

export type PatchesQuery = Asked<service.PatchesParams>;
export type PatchesResult = service.PatchesResult;

export type RegionsQuery = Asked<service.RegionsParams>;
export type RegionsResult = Omit<service.RegionsResult, 'dense' | 'crops'> & {
  /** Little-endian float32 [boxes, dimension] of unit norm: the regions' features. */
  dense: ArrayBuffer;
  /** The same of the crops' embeddings. */
  crops: ArrayBuffer;
};

export type WordsQuery = Omit<service.WordsParams, 'model'> & { source: ModelSource };
export type WordsResult = Omit<service.WordsResult, 'data'> & {
  /** Little-endian float32 [words, dimension], every row of unit norm. */
  data: ArrayBuffer;
};

/** The crop as the teacher of `source` sees it. */
export type CropQuery = Asked<service.CropParams>;
export type CropResult = Omit<service.CropResult, 'rgb'> & {
  /** Bytes [side, side, 3]. */
  rgb: ArrayBuffer;
};

export type NormsResult = service.NormsResult;

export type AttentionQuery = Asked<service.AttentionParams>;
export type AttentionResult = Omit<service.AttentionResult, 'file'> & {
  /** Little-endian float32 [heads + 1, rows, columns]; the last map is the rollout. */
  data: ArrayBuffer;
};

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
  /** Similarity and attention: row-major index of the query patch. */
  patch?: number;
  /** Attention: layer is null for the last. */
  attention?: { head: number | 'rollout' | 'mean'; layer: number | null };
  /** Regions, the cells of a patch grid with cosines, or the box of a similarity. */
  boxes?: Box[];
  /** Words, and names of clusters and regions. */
  words?: WordsSettings;
  /** Regions: some have masks, which the command line does not take. */
  masked?: boolean;
}

/** At most so many regions of one image: each is compared with the crops of all. */
export const MAXIMUM_REGIONS = 1000;

export interface LoadedBoxes {
  /** Name of the file they came from. */
  file: string;
  /** Regions of the image in the file; those beyond `MAXIMUM_REGIONS` are left out. */
  total: number;
  boxes: { box: Box; label: string; mask: CocoSegmentation | null }[];
}

/** Every request of the panel: what it takes and what it gives. A dialogue that the user dismisses gives null. */
export interface InspectorRequests {
  describe: { query: { source: ModelSource }; result: ModelDescription };
  features: { query: FeaturesQuery; result: FeaturesResult };
  mapValues: { query: MapValuesQuery; result: MapValuesResult };
  kMeans: { query: KMeansQuery; result: KMeansResult };
  pca: { query: PcaQuery; result: PcaResult };
  patches: { query: PatchesQuery; result: PatchesResult };
  regions: { query: RegionsQuery; result: RegionsResult };
  crop: { query: CropQuery; result: CropResult };
  words: { query: WordsQuery; result: WordsResult };
  norms: { query: FeatureQuery; result: NormsResult };
  attention: { query: AttentionQuery; result: AttentionResult };
  /** Opens a file dialogue for a model. */
  browseModel: { query: null; result: ModelSource | null };
  /** Asks which published model to fetch from the hub, and fetches it. */
  getModel: { query: null; result: ModelSource | null };
  /** Opens a file dialogue for COCO-style annotations and takes those of this image. */
  loadBoxes: { query: { image: number }; result: LoadedBoxes | null };
  /** Opens a file dialogue for embeddings of words; their absolute path. */
  browseWords: { query: null; result: string | null };
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
 * may work. `unknownKey`: the map fell out of the cache, ask for the features again. `noText`: the model cannot read
 * words. `wordsFile`: that file with embeddings of words cannot be used. `trust`: the workspace is not trusted. `service`: the service ended; asking again starts another.
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
  | 'noText'
  | 'wordsFile'
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
