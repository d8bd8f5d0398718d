import path from 'node:path';
import { readJson } from '../trainer/checkpoints/jsonFile.ts';
import { compareRuns } from '../trainer/compare/compareRuns.ts';
import type { RunComparison } from '../trainer/compare/protocol.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import type {
  ComparisonProblem,
  ComparisonState,
  MessageFromComparison,
  MessageToComparison,
} from '../webview/comparison/protocol.ts';
import { type ComparisonDialogues, ComparisonHandlers } from './comparisonHandlers.ts';
import { parseComparisonState } from './comparisonState.ts';
import type { Disposable } from './emitter.ts';
import { FollowedRun } from './followedRun.ts';
import { InspectorError } from './inspectorProblems.ts';
import type { InspectorService } from './inspectorService.ts';
import { PanelDocument } from './panelDocument.ts';
import { parsePreview } from './previewReader.ts';
import { SerialTask } from './serialTask.ts';

/** What a panel's model needs of its surroundings. */
export interface ComparisonSurroundings {
  post(message: MessageToComparison): void;
  isTrusted(): boolean;
  mayReadImage(file: string): boolean;
  service: Pick<InspectorService, 'request'>;
  dialogues: ComparisonDialogues;
  /** What the panel compares goes by another name now. */
  titleChanged(title: string): void;
  reportError(message: string): void;
}

/** Milliseconds between two looks at the runs. */
const POLL_INTERVAL = 1000;

/**
 * What one comparison panel shows: follows the directories of its runs and turns what it finds into messages. Nothing is
 * posted before the panel has said that it listens, nor while it is hidden.
 */
export class ComparisonPanelModel implements Disposable {
  readonly #surroundings: ComparisonSurroundings;
  readonly #handlers: ComparisonHandlers;
  readonly #document: PanelDocument<MessageToComparison, ComparisonProblem>;
  readonly #pass = new SerialTask(() => this.#passOnce());
  readonly #poll: NodeJS.Timeout;
  readonly #followed = new Map<string, FollowedRun>();
  #state: ComparisonState;
  #initialDue = false;
  #comparisonSent = '';
  /** Runs that were added while the panel was hidden. */
  readonly #added: string[] = [];
  /** Images that runs saw, by run; read once. */
  readonly #images = new Map<string, string>();

  constructor(state: ComparisonState, surroundings: ComparisonSurroundings) {
    this.#state = state;
    this.#surroundings = surroundings;
    this.#document = new PanelDocument(message => surroundings.post(message), problemOf);
    this.#handlers = new ComparisonHandlers({
      service: surroundings.service,
      dialogues: surroundings.dialogues,
      mayReadImage: file => surroundings.mayReadImage(file),
      isTrusted: () => surroundings.isTrusted(),
      runs: () => this.#runs().map(({ run }) => run),
      comparison: () => this.#compare(),
    });
    this.#poll = setInterval(() => void this.#pass.run(), POLL_INTERVAL);
    this.#poll.unref();
    void this.#pass.run();
  }

  get directories(): string[] {
    return this.#state.runs.map(({ directory }) => directory);
  }

  /** The comparison as it stands, after a look at every run. */
  async comparison(): Promise<RunComparison> {
    await this.#pass.run();
    return this.#compare();
  }

  receive(message: MessageFromComparison): void {
    switch (message.kind) {
      case 'ready':
        this.#document.opened();
        this.#initialDue = true;
        this.#take(message.state);
        if (this.#added.length > 0) this.add(this.#added.splice(0));
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
        this.#surroundings.reportError(`comparison panel: ${message.message}`);
        break;
    }
  }

  /** Puts runs into the comparison, as far as there is room. */
  add(directories: readonly string[]): void {
    const runs = [...this.#state.runs, ...directories.map(directory => ({ directory, look: -1 }))];
    this.#state = parseComparisonState({ ...this.#state, runs }) ?? this.#state;
    // A panel that is hidden comes back with the state that it stored before.
    if (!this.#document.listens) this.#added.push(...directories);
    this.#document.post({ kind: 'state', state: this.#state });
    void this.#pass.run();
  }

  trustChanged(): void {
    this.#document.post({ kind: 'trust', trusted: this.#surroundings.isTrusted() });
  }

  /** The panel's document is gone until it says `ready` again. */
  hidden(): void {
    this.#document.gone();
  }

  #take(stored: unknown): void {
    // Whatever a panel's state says, only run directories of the known form count.
    this.#state = parseComparisonState(stored) ?? this.#state;
    void this.#pass.run();
  }

  /** The runs in the order of the state. */
  #runs(): FollowedRun[] {
    return this.#state.runs.map(({ directory }) => {
      const run = this.#followed.get(directory) ?? new FollowedRun(directory);
      this.#followed.set(directory, run);
      return run;
    });
  }

  #compare(): RunComparison {
    const runs = this.#runs();
    const base = runs.findIndex(({ directory }) => directory === this.#state.base);
    return compareRuns(
      runs.map(({ run }) => run),
      Math.max(base, 0),
    );
  }

  async #passOnce(): Promise<void> {
    if (this.#document.isDisposed) return;
    const runs = this.#runs();
    for (const directory of this.#followed.keys())
      if (runs.every(run => run.directory !== directory)) this.#followed.delete(directory);
    await Promise.all(runs.map(run => run.update()));
    this.#surroundings.titleChanged(runs.map(({ directory }) => path.basename(directory)).join(', '));
    if (!this.#document.listens || this.#document.isDisposed) return;
    if (this.#initialDue) {
      this.#initialDue = false;
      this.#comparisonSent = '';
      for (const run of runs) run.forgetSent();
      this.#document.post({ kind: 'initial', state: this.#state, trusted: this.#surroundings.isTrusted() });
    }
    for (const run of runs) {
      const news = run.news();
      if (news !== null) this.#document.post(news);
    }
    await this.#sendComparison(runs);
  }

  async #sendComparison(runs: readonly FollowedRun[]): Promise<void> {
    const comparison = this.#compare();
    const students = runs.map(({ student }) => student);
    const image = await this.#imageToBeginWith();
    const text = JSON.stringify([comparison, students, image]);
    if (text === this.#comparisonSent) return;
    this.#comparisonSent = text;
    this.#document.post({ kind: 'comparison', comparison, students, image });
  }

  /** The image of the latest step of the base run that may be read, else of another run. */
  async #imageToBeginWith(): Promise<string | null> {
    for (const directory of [this.#state.base, ...this.directories]) {
      if (!this.#images.has(directory)) {
        const content = await readJson(runFiles(directory).preview).catch(() => null);
        const preview = parsePreview(content);
        // A run that has not drawn a patch yet is asked again.
        if (preview !== null && this.#surroundings.mayReadImage(preview.image))
          this.#images.set(directory, preview.image);
      }
      const image = this.#images.get(directory);
      if (image !== undefined) return image;
    }
    return null;
  }

  dispose(): void {
    this.#document.dispose();
    clearInterval(this.#poll);
  }
}

function problemOf(error: unknown): ComparisonProblem {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof InspectorError && error.kind === 'trust') return { kind: 'trust', message };
  const isCancelled = error instanceof InspectorError && error.kind === 'cancelled';
  if (isCancelled || (error instanceof Error && error.name === 'AbortError'))
    return { kind: 'cancelled', message: 'Cancelled.' };
  return { kind: 'other', message };
}
