/**
 * What the extension host and the comparison panel say to each other, defined once. The panel posts `ready` when it
 * listens; the host answers with `initial`, then one `curves` message a run and a `comparison`, and sends both again,
 * or what was appended, as runs go on. What the panel asks for beyond that goes through `request` messages, answered by
 * exactly one `response` each; K-Means tells of its `progress` before.
 *
 * The host's document is `<body><main id="comparison"></main></body>` with `comparison.css` linked and `comparison.js`
 * as its only script. Content security policy: no inline script, no inline style, images from `blob:`, `data:` and the
 * extension only, no connections. Pictures travel as `ArrayBuffer`.
 *
 * Who owns what: run directories own what was measured, `trainer/compare` what is compared; the panel owns which runs
 * are compared and how they are looked at (`ComparisonState`), which it stores with `setState` and repeats to the host.
 */

import type { CurveEvaluation, CurveStep, RunComparison } from '../../trainer/compare/protocol.ts';

// ---- requests ----

/** The same image through the student of every run. */
export interface KMeansQuery {
  image: string;
  k: number;
}

/** Clusters of one run's student; like clusters have like numbers in all runs. */
export interface ClusterMap {
  /** Row-major [rows, columns], −1 on padding. */
  labels: number[];
  rows: number;
  columns: number;
  /** Rows and columns that hold image. */
  valid: { rows: number; columns: number };
  imageWidth: number;
  imageHeight: number;
  patchSize: number;
  /** Longest side of the input in pixels. */
  size: number;
}

export interface KMeansColumn {
  directory: string;
  map: ClusterMap | null;
  /** Why there is no map. */
  problem: string | null;
}

/** An image as a browser draws it, or one sentence why not. */
export interface ComparedImage {
  path: string;
  type: string | null;
  bytes: ArrayBuffer | null;
  problem: string | null;
}

export interface ComparisonProblem {
  kind: 'cancelled' | 'trust' | 'other';
  message: string;
}

/** Every request of the panel. A dialogue that the user dismisses gives null. */
export interface ComparisonRequests {
  /** Asks which runs to add; the directories of those chosen. */
  pickRuns: { query: { chosen: string[] }; result: string[] | null };
  browseImage: { query: null; result: string | null };
  image: { query: { path: string }; result: ComparedImage };
  kMeans: { query: KMeansQuery; result: KMeansColumn[] };
  /** Writes everything that was measured, and the summary beside it; the paths. */
  saveCsv: { query: null; result: string[] | null };
  saveLatex: { query: null; result: string | null };
  copyLatex: { query: null; result: null };
  savePng: { query: { bytes: ArrayBuffer }; result: string | null };
  openRun: { query: { directory: string }; result: null };
}

export type ComparisonMethod = keyof ComparisonRequests;

// ---- host to panel ----

export interface ComparisonInitialMessage {
  kind: 'initial';
  state: ComparisonState;
  /** False where the workspace is not trusted: nothing is computed. */
  trusted: boolean;
}

/** What is compared, or that it changed. Runs are in the order of the state's. */
export interface ComparisonMessage {
  kind: 'comparison';
  comparison: RunComparison;
  /** Changes whenever a run's student was written anew: K-Means of it is out of date. */
  students: string[];
  /** An image that runs saw, to begin with; null where none is known. */
  image: string | null;
}

/** Records of one run: all that count (`replace`), or those appended since the last message. */
export interface CurvesMessage {
  kind: 'curves';
  directory: string;
  replace: boolean;
  steps: CurveStep[];
  evaluations: CurveEvaluation[];
}

/** Runs were added from outside the panel: its state is this now. */
export interface ComparisonStateMessage {
  kind: 'state';
  state: ComparisonState;
}

/** The workspace was trusted while the panel is open. */
export interface ComparisonTrustMessage {
  kind: 'trust';
  trusted: boolean;
}

export interface ComparisonProgressMessage {
  kind: 'progress';
  id: number;
  stage: string;
  fraction: number | null;
}

export interface ComparisonResponseMessage {
  kind: 'response';
  id: number;
  result: ComparisonRequests[ComparisonMethod]['result'];
  problem: ComparisonProblem | null;
}

export type MessageToComparison =
  | ComparisonInitialMessage
  | ComparisonMessage
  | CurvesMessage
  | ComparisonStateMessage
  | ComparisonTrustMessage
  | ComparisonProgressMessage
  | ComparisonResponseMessage;

// ---- panel to host ----

export type ComparisonRequestMessage = {
  [Method in ComparisonMethod]: {
    kind: 'request';
    id: number;
    method: Method;
    query: ComparisonRequests[Method]['query'];
  };
}[ComparisonMethod];

export type MessageFromComparison =
  | { kind: 'ready'; state: ComparisonState | null }
  | ComparisonRequestMessage
  | { kind: 'cancel'; id: number }
  | { kind: 'stateChanged'; state: ComparisonState }
  | { kind: 'panelError'; message: string };

// ---- what the panel persists ----

/** How curves are laid side by side. */
export const axes = ['step', 'epoch', 'seconds'] as const;
export type Axis = (typeof axes)[number];

/** A run and its look, which it keeps while others come and go. */
export interface ShownRun {
  directory: string;
  /** 0 … 5: colour, dash and marker. */
  look: number;
}

export interface ComparisonState {
  schema: 1;
  /** At most six. */
  runs: ShownRun[];
  /** Directory of the run that the others are compared with. */
  base: string;
  axis: Axis;
  /** Weight of the moving average over steps, 0 … below 1. */
  smoothing: number;
  /** Directories of runs whose curves are hidden. */
  hidden: string[];
  kMeans: { image: string | null; k: number };
}

/** At most this many steps of a run are sent; longer histories are thinned, extremes of the loss kept. */
export const MOST_STEPS = 2000;
