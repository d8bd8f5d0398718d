/**
 * What the extension host and the inspector panel say to each other, defined once: the messages here, what is asked and
 * answered in `requests.ts`, models and columns in `models.ts`, what the panel persists in `state.ts`. Like the training panel: the panel
 * posts `ready` when it listens, the host answers with one `initial` message that carries everything needed to draw,
 * then sends increments; a second `initial` replaces all that was drawn. What the panel asks for beyond that goes
 * through `request` messages: each carries an id, is answered by exactly one `response` with that id, may be told
 * about by `progress` before, and can be given up with `cancel`.
 *
 * The host's document is `<body><main id="inspector"></main></body>` with `inspector.css` linked and `inspector.js` as
 * its only script; the panel draws inside `#inspector`. Content security policy: no inline script, no inline style
 * (style properties set from script are fine), images from `blob:`, `data:` and the extension only, no connections.
 *
 * Pixels and features travel as `ArrayBuffer`, never as JSON. What a map is like comes first, and its values when the
 * panel asks for them, which it does once for as long as it keeps them: a picture that needs none is drawn before they travel.
 *
 * Who owns what: files own images, models and runs; the service owns feature maps; the host derives messages from both;
 * the panel owns how they are looked at (`InspectorState`), which it stores with `setState` and repeats to the host in
 * `stateChanged`, so that the next panel of the workspace begins where this one was left.
 */

import type { ColumnSettings, ModelChoice, RunSteps } from './models.ts';
import type { InspectorMethod, InspectorProblem, LoadedBoxes, QueryOf, ResultOf } from './requests.ts';
import type { InspectorState, InspectorView } from './state.ts';

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

/** The command was called again on this panel: show this image, with these settings and regions where given. */
export interface ShowMessage {
  kind: 'show';
  image: number;
  view: InspectorView | null;
  column: Partial<ColumnSettings>;
  /** Regions to mark in the image. */
  boxes?: LoadedBoxes['boxes'];
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
  | StateChangedMessage
  | InspectorErrorMessage;
