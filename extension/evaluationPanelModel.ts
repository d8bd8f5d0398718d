import path from 'node:path';
import type { EvaluationReport } from '../trainer/evaluate/protocol.ts';
import type { RunSummary } from '../trainer/protocol.ts';
import type {
  EvaluationState,
  MessageFromEvaluation,
  MessageToEvaluation,
  ReportChoice,
  ReportMessage,
  ReportProblem,
  ReportReference,
  RequestProblem,
  Side,
} from '../webview/evaluation/protocol.ts';
import { defaultEvaluationState, referenceKey, sides } from '../webview/evaluation/protocol.ts';
import type { Disposable } from './emitter.ts';
import { listChoices, RunNumbersReader, resolveReference, runOfReport } from './evaluationFiles.ts';
import {
  type EvaluationDialogues,
  EvaluationHandlers,
  requestProblem,
  type SideReport,
} from './evaluationHandlers.ts';
import { readReport, shownReport } from './evaluationReport.ts';
import { parseShownReports, type ShownReports } from './evaluationState.ts';
import { fileSignature } from './fileSignature.ts';
import { PanelDocument } from './panelDocument.ts';
import { reportProblem } from './reportProblem.ts';
import { SegmentationFollower } from './segmentationFollower.ts';
import { SerialTask } from './serialTask.ts';

/** What a panel's model needs of its surroundings. */
export interface EvaluationSurroundings {
  post(message: MessageToEvaluation): void;
  /** Whether an image may be read: reports come from anywhere and name any folder. */
  mayReadImage(file: string): boolean;
  /** Runs of the workspace, whose evaluations are offered. */
  runs(): readonly Pick<RunSummary, 'directory' | 'name'>[];
  dialogues: EvaluationDialogues;
  /** What the panel shows goes by another name now. */
  titleChanged(title: string): void;
  reportError(message: string): void;
}

/** Milliseconds between two looks at the reports. */
const POLL_INTERVAL = 1000;

interface KnownReport {
  /** File, its size and time. */
  signature: string;
  message: ReportMessage;
  report: EvaluationReport | null;
}

/**
 * What one evaluation panel shows: follows the files of two reports and turns what it finds into messages. Nothing is
 * posted before the panel has said that it listens, nor while it is hidden.
 */
export class EvaluationPanelModel implements Disposable {
  readonly #surroundings: EvaluationSurroundings;
  readonly #handlers: EvaluationHandlers;
  readonly #pass = new SerialTask(() => this.#passOnce());
  readonly #poll: NodeJS.Timeout;
  readonly #document: PanelDocument<MessageToEvaluation, RequestProblem>;
  readonly #known = new Map<Side, KnownReport>();
  readonly #numbers = new Map<string, RunNumbersReader>();
  readonly #segmentation = new SegmentationFollower(message => this.#document.post(message));
  /** Reports outside runs that were in view, which stay on offer. */
  readonly #files = new Set<string>();
  #shown: ShownReports;
  #stored: EvaluationState | null = null;
  #initialDue = false;
  #choicesSent = '';
  #numbersSent = '';

  constructor(shown: ShownReports, surroundings: EvaluationSurroundings) {
    this.#shown = shown;
    this.#surroundings = surroundings;
    this.#document = new PanelDocument(message => surroundings.post(message), requestProblem);
    this.#handlers = new EvaluationHandlers({
      side: side => this.#sideReport(side),
      imageFolder: () => this.#shown.imageFolder,
      mayReadImage: file => surroundings.mayReadImage(file),
      segmentation: () => this.#segmentation.shown,
      dialogues: surroundings.dialogues,
    });
    this.#poll = setInterval(() => void this.#pass.run(), POLL_INTERVAL);
    this.#poll.unref();
    void this.#pass.run();
  }

  get shown(): ShownReports {
    return this.#shown;
  }

  /** Path of the report in view; null where there is none. */
  async reportInView(): Promise<string | null> {
    await this.#pass.run();
    return this.#known.get('after')?.message.path ?? this.#shown.segmentation;
  }

  receive(message: MessageFromEvaluation): void {
    switch (message.kind) {
      case 'ready':
        this.#ready(message.state);
        break;
      case 'request':
        void this.#document.answer(message.id, work => this.#handlers.answer(message, work));
        break;
      case 'cancel':
        this.#document.cancel(message.id);
        break;
      case 'stateChanged':
        this.#take(message.state);
        break;
      case 'panelError':
        this.#surroundings.reportError(`evaluation panel: ${message.message}`);
        break;
    }
  }

  /** The panel's document is gone until it says `ready` again. */
  hidden(): void {
    this.#document.gone();
  }

  #ready(stored: EvaluationState | null): void {
    this.#document.opened();
    this.#initialDue = true;
    this.#stored = stored;
    void this.#pass.run();
  }

  #take(state: EvaluationState): void {
    // Whatever a panel's state says, only references of the known form count.
    const shown = parseShownReports(state);
    if (shown === null) return;
    this.#shown = shown;
    void this.#pass.run();
  }

  async #passOnce(): Promise<void> {
    if (this.#document.isDisposed) return;
    const choices = await this.#listChoices();
    if (this.#document.listens && this.#initialDue) {
      this.#initialDue = false;
      this.#document.post({ kind: 'initial', choices, state: { ...this.#firstState(), ...this.#shown } });
      this.#choicesSent = JSON.stringify(choices);
      this.#numbersSent = '';
      for (const side of sides) await this.#look(side, true);
      await this.#segmentation.look(this.#shown.segmentation, true);
    } else {
      for (const side of sides) await this.#look(side, false);
      await this.#segmentation.look(this.#shown.segmentation, false);
      const list = JSON.stringify(choices);
      if (this.#document.listens && list !== this.#choicesSent) {
        this.#choicesSent = list;
        this.#document.post({ kind: 'choices', choices });
      }
    }
    await this.#sendNumbers();
  }

  /** A panel that shows a segmentation alone begins with it. */
  #firstState(): EvaluationState {
    if (this.#stored !== null) return this.#stored;
    return this.#shown.after === null && this.#shown.segmentation !== null
      ? { ...defaultEvaluationState, tab: 'segmentation' }
      : defaultEvaluationState;
  }

  #listChoices(): Promise<ReportChoice[]> {
    const runs = new Map(this.#surroundings.runs().map(run => [run.directory, run]));
    for (const reference of [this.#shown.before, this.#shown.after]) {
      if (reference?.kind === 'file') this.#files.add(reference.path);
      const run = reference === null ? null : runOf(reference);
      if (run !== null && !runs.has(run)) runs.set(run, { directory: run, name: path.basename(run) });
    }
    return listChoices([...runs.values()], [...this.#files]);
  }

  /** Reads the report of a side where it changed, and posts it then or when `again` is set. */
  async #look(side: Side, again: boolean): Promise<void> {
    const reference = this.#shown[side];
    const file = await resolveReference(reference);
    const signature = `${referenceKey(reference)}|${file === null ? '' : await fileSignature(file)}`;
    const known = this.#known.get(side);
    if (known?.signature === signature) {
      if (again) this.#document.post(known.message);
      return;
    }
    const { report, problem } = await load(reference, file);
    const shown = report === null ? null : shownReport(report);
    const message: ReportMessage = { kind: 'report', side, reference, path: file, report: shown, problem };
    this.#known.set(side, { signature, message, report });
    this.#handlers.reportChanged(side);
    this.#document.post(message);
    if (side === 'after')
      this.#surroundings.titleChanged(titleOf(reference, file ?? this.#shown.segmentation));
  }

  async #sendNumbers(): Promise<void> {
    const runs = new Set<string>();
    for (const side of ['after', 'before'] as const) {
      const run = runOf(this.#shown[side]);
      if (run !== null) runs.add(run);
    }
    const numbers = await Promise.all(
      [...runs].map(run => {
        const reader = this.#numbers.get(run) ?? new RunNumbersReader(run);
        this.#numbers.set(run, reader);
        return reader.read().catch(() => null);
      }),
    );
    const list = numbers.filter(entry => entry !== null);
    const text = JSON.stringify(list);
    if (!this.#document.listens || text === this.#numbersSent) return;
    this.#numbersSent = text;
    this.#document.post({ kind: 'runNumbers', runs: list });
  }

  #sideReport(side: Side): SideReport | null {
    const known = this.#known.get(side);
    if (known === undefined || known.report === null || known.message.path === null) return null;
    return { path: known.message.path, report: known.report };
  }

  dispose(): void {
    this.#document.dispose();
    this.#handlers.dispose();
    clearInterval(this.#poll);
  }
}

/** The run that a report belongs to, by where it lies. */
function runOf(reference: ReportReference | null): string | null {
  if (reference === null) return null;
  return reference.kind === 'latest' ? reference.run : runOfReport(reference.path);
}

function titleOf(reference: ReportReference | null, file: string | null): string {
  const run = runOf(reference);
  if (run !== null) return path.basename(run);
  return file === null ? '' : path.join(path.basename(path.dirname(file)), path.basename(file));
}

async function load(
  reference: ReportReference | null,
  file: string | null,
): Promise<{ report: EvaluationReport | null; problem: ReportProblem | null }> {
  if (reference === null) return { report: null, problem: null };
  if (file === null) {
    const message = 'This run has not been evaluated yet. Its evaluations appear here as they are done.';
    return { report: null, problem: { kind: 'none', message } };
  }
  try {
    return { report: await readReport(file), problem: null };
  } catch (error) {
    return { report: null, problem: reportProblem(error, file) };
  }
}
