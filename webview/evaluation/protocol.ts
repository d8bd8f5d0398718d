/**
 * What the extension host and the evaluation panel say to each other, defined once. The panel posts `ready` when it
 * listens; the host answers with one `initial` message, then with the reports of both sides and what changes. What the
 * panel asks for beyond that goes through `request` messages: each carries an id and is answered by exactly one
 * `response` with that id, may be told about by `progress` before, and can be given up with `cancel`.
 *
 * The host's document is `<body><main id="evaluation"></main></body>` with `evaluation.css` linked and `evaluation.js` as
 * its only script. Content security policy: no inline script, no inline style (style properties set from script are
 * fine), images from `blob:`, `data:` and the extension only, no connections.
 *
 * Reports are small but for their confusions, which travel as numbers in an `ArrayBuffer`. The regions file of a report
 * may hold hundreds of megabytes: the host indexes it when it is first needed and sends single regions.
 *
 * Who owns what: files own reports, regions and images; the host derives messages from them; the panel owns what is
 * looked at (`EvaluationState`), which it stores with `setState` and repeats to the host in `stateChanged`.
 */

import type {
  ClassKind,
  EvaluatedRegion,
  EvaluationReport,
  ReadingReport,
  RegionReading,
  TwelveNumberName,
} from '../../trainer/evaluate/protocol.ts';
import type { SegmentationReport } from '../../trainer/segment/protocol.ts';

/** The two reports that are compared: a baseline, and the one that is looked at. */
export const sides = ['before', 'after'] as const;
export type Side = (typeof sides)[number];

/** Which report: a file, or the latest evaluation of a run, which moves on while the run does. */
export type ReportReference =
  | { kind: 'file'; path: string }
  /** `run`: absolute path of the run directory. */
  | { kind: 'latest'; run: string };

export function referenceKey(reference: ReportReference | null): string {
  if (reference === null) return '';
  return reference.kind === 'file' ? `file:${reference.path}` : `latest:${reference.run}`;
}

/** A report that can be picked. */
export interface ReportChoice {
  reference: ReportReference;
  label: string;
  /** Name of the run, or of the group of files. */
  group: string;
}

/** A reading with its confusions as uint32 triples: true class, named class, regions. */
export type ShownReading = Omit<ReadingReport, 'confusions'> & { confusions: ArrayBuffer };

export type ShownReport = Omit<EvaluationReport, 'readings'> & {
  readings: Partial<Record<RegionReading, ShownReading>>;
};

/** The numbers of one evaluation of a run. */
export interface EpochNumbers {
  epoch: number;
  step: number;
  numbers: Partial<Record<TwelveNumberName, number>>;
}

/** All evaluations of a run, ascending by epoch; 0 is before training. */
export interface RunNumbers {
  /** Absolute path of the run directory. */
  run: string;
  name: string;
  epochs: EpochNumbers[];
}

/**
 * Why something cannot be shown. `none`: there is no report yet; `gone`: the file is not there (any more); `schema`: it is
 * of another version; `unreadable`: anything else.
 */
export interface ReportProblem {
  kind: 'none' | 'gone' | 'schema' | 'unreadable';
  /** One sentence for the user. */
  message: string;
}

// ---- requests ----

/** Which regions: those of a true class, those named so, or both; null takes all. */
export interface RegionSelection {
  reading: RegionReading;
  /** Positions in the report's `classes`. */
  truth: number | null;
  named: number | null;
  outcome: RegionOutcome;
}

/** `right`: the true class comes first; `close`: it is among the five but not first; `wrong`: it is not first. */
export const regionOutcomes = ['all', 'wrong', 'close', 'right'] as const;
export type RegionOutcome = (typeof regionOutcomes)[number];

export interface RegionsQuery extends RegionSelection {
  side: Side;
  /** Regions to leave out at the start, and to take at most. */
  offset: number;
  count: number;
}

export interface ShownRegion extends EvaluatedRegion {
  /** Place in the regions file, from 0; names the region in other requests. */
  place: number;
  /** How the other side reads the same region; null where it does not have it. */
  other: EvaluatedRegion['readings'] | null;
}

export interface RegionsResult {
  total: number;
  regions: ShownRegion[];
}

export interface RegionQuery {
  side: Side;
  place: number;
}

/** A JPEG of the region and what is around it, or of the whole image. */
export interface RegionPicture {
  bytes: ArrayBuffer;
  /** Pixels of the JPEG. */
  width: number;
  height: number;
  /** The region, [x0, y0, x1, y1] in pixels of the JPEG. */
  box: [number, number, number, number];
}

export interface SaveQuery {
  /** Proposed name without a folder, with its extension. */
  name: string;
  kind: 'png' | 'csv' | 'json' | 'tex';
  bytes: ArrayBuffer;
}

/** Pictures of a segmented image: its labels, and what the models named. */
export const segmentPictures = ['truth', 'before', 'after'] as const;
export type SegmentPictureName = (typeof segmentPictures)[number];

export interface SegmentPictureQuery {
  /** Position in the report's `overlays`. */
  overlay: number;
  picture: SegmentPictureName;
}

/** Every request of the panel: what it takes and what it gives. A dialogue that the user dismisses gives null. */
export interface EvaluationRequests {
  regions: { query: RegionsQuery; result: RegionsResult };
  thumbnail: { query: RegionQuery; result: RegionPicture };
  picture: { query: RegionQuery; result: RegionPicture };
  /** Opens the image in the dense-feature inspector with the region marked; `picture` where no model can draw it. */
  openRegion: { query: RegionQuery; result: 'inspector' | 'picture' };
  /** Opens the image file itself. */
  openImage: { query: RegionQuery; result: null };
  /** Opens the report as text. */
  openReport: { query: { side: Side }; result: null };
  browseReport: { query: null; result: ReportReference | null };
  /** Asks where the images are now; the result is the folder. */
  browseImages: { query: null; result: string | null };
  /** Asks for a report of a segmentation; the result is its path. */
  browseSegmentation: { query: null; result: string | null };
  /** One of the pictures that a segmentation has written, JPEG. */
  segmentPicture: { query: SegmentPictureQuery; result: ArrayBuffer };
  /** Opens a save dialogue; the result is the path written. */
  save: { query: SaveQuery; result: string | null };
  copy: { query: { text: string }; result: null };
}

export type EvaluationMethod = keyof EvaluationRequests;
export type QueryOf<Method extends EvaluationMethod> = EvaluationRequests[Method]['query'];
export type ResultOf<Method extends EvaluationMethod> = EvaluationRequests[Method]['result'];

/**
 * Why a request failed. `cancelled`: the panel gave it up. `regions`: the regions file is missing or of another report.
 * `images`: the image is not where the report says. `trust`: the workspace is not trusted.
 */
export interface RequestProblem {
  kind: 'cancelled' | 'regions' | 'images' | 'trust' | 'other';
  message: string;
}

// ---- host to panel ----

/** The answer to `ready`. */
export interface EvaluationInitialMessage {
  kind: 'initial';
  choices: ReportChoice[];
  state: EvaluationState;
}

/** Evaluations came or went. */
export interface ChoicesMessage {
  kind: 'choices';
  choices: ReportChoice[];
}

/** The report of a side, or why there is none; sent again when its file changes. */
export interface ReportMessage {
  kind: 'report';
  side: Side;
  reference: ReportReference | null;
  /** Absolute path of the report; null where there is none. */
  path: string | null;
  report: ShownReport | null;
  problem: ReportProblem | null;
}

/** The segmentation in view, or why there is none; sent again when its file changes. */
export interface SegmentationMessage {
  kind: 'segmentation';
  /** Absolute path; null where none was chosen. */
  path: string | null;
  report: SegmentationReport | null;
  problem: ReportProblem | null;
}

/** The numbers of the runs that the reports belong to; replaces what was sent before. */
export interface RunNumbersMessage {
  kind: 'runNumbers';
  /** The run of `after` first. */
  runs: RunNumbers[];
}

export interface RequestProgressMessage {
  kind: 'progress';
  id: number;
  stage: string;
  /** 0 … 1. */
  fraction: number;
}

/** `problem` is null on success, and then `result` is what the request's method promises. */
export interface ResponseMessage {
  kind: 'response';
  id: number;
  result: ResultOf<EvaluationMethod>;
  problem: RequestProblem | null;
}

export type MessageToEvaluation =
  | EvaluationInitialMessage
  | ChoicesMessage
  | ReportMessage
  | SegmentationMessage
  | RunNumbersMessage
  | RequestProgressMessage
  | ResponseMessage;

// ---- panel to host ----

/** The panel listens: send `initial`, then the reports. */
export interface EvaluationReadyMessage {
  kind: 'ready';
  /** What `getState` holds after a reload, null in a new panel. */
  state: EvaluationState | null;
}

export interface RequestMessageOf<Method extends EvaluationMethod> {
  kind: 'request';
  id: number;
  method: Method;
  query: QueryOf<Method>;
}

export type RequestMessage = { [Method in EvaluationMethod]: RequestMessageOf<Method> }[EvaluationMethod];

export interface CancelMessage {
  kind: 'cancel';
  id: number;
}

/** What is looked at was changed. The panel calls `setState` itself. */
export interface StateChangedMessage {
  kind: 'stateChanged';
  state: EvaluationState;
}

/** Something broke inside the panel; it goes to the log channel. */
export interface EvaluationErrorMessage {
  kind: 'panelError';
  message: string;
}

export type MessageFromEvaluation =
  | EvaluationReadyMessage
  | RequestMessage
  | CancelMessage
  | StateChangedMessage
  | EvaluationErrorMessage;

// ---- what the panel persists ----

export const evaluationTabs = ['overview', 'classes', 'confusions', 'segmentation'] as const;
export type EvaluationTab = (typeof evaluationTabs)[number];

/** Columns of the table of classes. */
export const classColumns = ['name', 'kind', 'regions', 'before', 'after', 'change', 'margin'] as const;
export type ClassColumn = (typeof classColumns)[number];

/** Columns of the table of segmented classes. */
export const segmentColumns = ['name', 'pixels', 'before', 'after', 'change', 'boxes', 'masks'] as const;
export type SegmentColumn = (typeof segmentColumns)[number];

/** What the matrix shows: one side, or the change from before to after. */
export const matrixSides = ['before', 'after', 'change'] as const;
export type MatrixSide = (typeof matrixSides)[number];

/** Order of the classes in the matrix: of the data set, or most regions first. */
export const matrixOrders = ['data', 'regions'] as const;
export type MatrixOrder = (typeof matrixOrders)[number];

/**
 * The argument of the webview's `setState`, which VS Code keeps over a reload; the host restores the panel from
 * `before`, `after`, `segmentation` and `imageFolder`.
 */
export interface EvaluationState {
  schema: 1;
  before: ReportReference | null;
  after: ReportReference | null;
  /** Where the images are now, if not where the reports say. Absolute path. */
  imageFolder: string | null;
  /** Report of a segmentation. Absolute path. */
  segmentation: string | null;
  tab: EvaluationTab;
  reading: RegionReading;
  top: 1 | 5;
  /** Number drawn over epochs and sizes, without its reading. */
  chart: { kind: ClassKind; top: 1 | 5 };
  classes: { filter: string; kind: ClassKind | 'all'; column: ClassColumn; descending: boolean };
  matrix: { side: MatrixSide; order: MatrixOrder };
  segments: { column: SegmentColumn; descending: boolean };
  /** Regions shown beside the table or the matrix. */
  selection: (RegionSelection & { side: Side }) | null;
}

/** How a panel begins where nothing was stored. */
export const defaultEvaluationState: EvaluationState = {
  schema: 1,
  before: null,
  after: null,
  imageFolder: null,
  segmentation: null,
  tab: 'overview',
  reading: 'rois',
  top: 1,
  chart: { kind: 'thing', top: 1 },
  classes: { filter: '', kind: 'all', column: 'regions', descending: true },
  matrix: { side: 'after', order: 'data' },
  segments: { column: 'pixels', descending: true },
  selection: null,
};
