import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import type { Disposable } from '../emitter.ts';
import type { CommandId } from '../identifiers.ts';
import { describeProgress, stageOf } from '../runPresentation.ts';

/** The notification of one run. */
interface Shown {
  directory: string;
  stopping: boolean;
  report: (message: string, increment: number) => void;
  percent: number;
  close: () => void;
}

const DETAILS: CommandId = 'clipself.openTrainingPanel';

/** The notification that follows the run started last; there is one at a time. */
export class TrainingProgress implements Disposable {
  readonly #stop: (directory: string) => Promise<void>;
  #shown: Shown | null = null;

  /** @param stop Asks a run's trainer to stop; cancelling the notification does. */
  constructor(stop: (directory: string) => Promise<void>) {
    this.#stop = stop;
  }

  /** Follows this run from now on, in place of another. */
  follow(run: RunSummary): void {
    this.#shown?.close();
    const details = encodeURIComponent(JSON.stringify([run.directory]));
    const title = `CLIPSelf: ${run.name} ([details](command:${DETAILS}?${details}))`;
    const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title };
    void vscode.window.withProgress(options, (progress, token) => {
      return new Promise<void>(resolve => {
        const report = (message: string, increment: number) => progress.report({ message, increment });
        const shown = { directory: run.directory, stopping: false, report, percent: 0, close: resolve };
        this.#shown = shown;
        token.onCancellationRequested(() => {
          shown.stopping = true;
          void this.#stop(run.directory);
        });
        this.update([run]);
      });
    });
  }

  /** Brings the notification up to date; it goes when its run no longer trains. */
  update(runs: readonly RunSummary[]): void {
    const shown = this.#shown;
    if (shown === null) return;
    const run = runs.find(candidate => candidate.directory === shown.directory);
    if (run === undefined || stageOf(run.state) !== 'live') {
      shown.close();
      this.#shown = null;
      return;
    }
    const percent = run.totalSteps > 0 ? (100 * run.step) / run.totalSteps : 0;
    const increment = Math.max(0, percent - shown.percent);
    shown.percent += increment;
    shown.report(shown.stopping ? 'stopping after this step' : describeProgress(run), increment);
  }

  dispose(): void {
    this.#shown?.close();
  }
}
