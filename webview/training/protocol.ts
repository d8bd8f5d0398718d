/**
 * What the extension host and the training panel say to each other, defined once: one interface per message, one
 * discriminated union (`kind`) per direction. The panel posts `ready` when it listens; the host answers with one
 * `initial` message that carries everything needed to draw, then sends increments. A second `initial` (the run was
 * resumed and its history rewritten, or the host reconnected) replaces all that was drawn.
 *
 * The host's document is `<body data-run-directory="…"><main id="training"></main></body>` with `training.css` linked and
 * `training.js` as its only script; the panel draws inside `#training`. Content security policy: no inline script, no
 * inline style (style properties set from script are fine), images from `blob:`, `data:` and the extension only.
 *
 * Messages travel as JSON: a measurement that is not finite (a loss of NaN) arrives as null in the place of the number.
 *
 * Who owns what: the run directory owns the run's state, the host derives every message from it, the panel owns only
 * how it is looked at (`TrainingPanelState`).
 */

import type {
  EvaluationRecord,
  EventRecord,
  PatchPreview,
  PretrainConfiguration,
  RunConfiguration,
  RunSummary,
  StepRecord,
} from '../../trainer/protocol.ts';

/** At most this many step records are sent in `initial`; longer histories are thinned, extremes of the loss kept. */
export const MAXIMUM_HISTORY_POINTS = 5000;

/**
 * The patch grid of a recent step and the image it lies on. `imageBytes` is the encoded file (JPEG, PNG, …) as it lies
 * on the disk, to be shown through a `blob:` URL (the panel's content security policy allows `img-src blob:`); it is
 * absent when the image is the one of the preview sent before, and when `imageProblem` says why it cannot be shown.
 */
export interface PreviewWithImage {
  preview: PatchPreview;
  /** MIME type of `imageBytes`, such as `image/jpeg`. */
  imageType?: string;
  imageBytes?: ArrayBuffer;
  /** One sentence for the user: the image file is gone, too large to be sent, or of a kind that browsers do not draw. */
  imageProblem?: string;
}

// ---- host to panel ----

/** The answer to `ready`: all that is known of the run. */
export interface InitialMessage {
  kind: 'initial';
  summary: RunSummary;
  /** Null while the trainer has not yet written `config.json`. */
  configuration: RunConfiguration | PretrainConfiguration | null;
  /** Ascending by step, none voided by a resume, at most `MAXIMUM_HISTORY_POINTS`. */
  steps: StepRecord[];
  evaluations: EvaluationRecord[];
  events: EventRecord[];
  preview: PreviewWithImage | null;
  /** False where the workspace is not trusted: stop and resume must not be offered. */
  canTrain: boolean;
}

/** State, step, loss, ETA of the run changed. */
export interface SummaryMessage {
  kind: 'summary';
  summary: RunSummary;
}

/** `config.json` appeared, or changed because the run was resumed with another setting. */
export interface ConfigurationMessage {
  kind: 'configuration';
  configuration: RunConfiguration | PretrainConfiguration;
}

/** Records appended to `metrics.jsonl` since the last message, in file order. */
export interface RecordsMessage {
  kind: 'records';
  steps: StepRecord[];
  evaluations: EvaluationRecord[];
  events: EventRecord[];
}

/** `preview.json` was replaced. */
export interface PreviewMessage {
  kind: 'preview';
  preview: PreviewWithImage;
}

/** The workspace was trusted while the panel is open. */
export interface TrustMessage {
  kind: 'trust';
  canTrain: boolean;
}

/** A command posted by the panel was carried out (`problem` null) or refused; its button becomes usable again. */
export interface CommandDoneMessage {
  kind: 'commandDone';
  command: PanelCommand;
  problem: string | null;
}

export type MessageToPanel =
  | InitialMessage
  | SummaryMessage
  | ConfigurationMessage
  | RecordsMessage
  | PreviewMessage
  | TrustMessage
  | CommandDoneMessage;

// ---- panel to host ----

/** Buttons of the panel. */
export type PanelCommand = 'stop' | 'resume' | 'compare' | 'openLog' | 'reveal';

/** The panel listens: send `initial`. Also posted again to ask for everything anew. */
export interface ReadyMessage {
  kind: 'ready';
}

/** A button was pressed. */
export interface CommandMessage {
  kind: 'command';
  command: PanelCommand;
}

/** Something broke inside the panel; it goes to the log channel. */
export interface PanelErrorMessage {
  kind: 'panelError';
  message: string;
}

export type MessageFromPanel = ReadyMessage | CommandMessage | PanelErrorMessage;

// ---- what the panel persists ----

/**
 * The argument of the webview's `setState`, which VS Code keeps over a reload; the host reads `directory` from it to
 * restore the panel. The host writes the run directory into `<body data-run-directory="…">`; the panel must store it
 * from its first `setState` on (call it at start-up, before `ready`).
 */
export interface TrainingPanelState {
  schema: 1;
  /** Absolute path of the run directory. */
  directory: string;
  /** Weight of the exponential moving average drawn over the loss, 0 (none) … below 1. */
  smoothing: number;
  /** The gradient norm's axis is logarithmic. */
  logScale: boolean;
  /** The table of the last steps is shown (it is always there for screen readers). */
  showTable: boolean;
  /** The configuration is unfolded. */
  showConfiguration: boolean;
}
