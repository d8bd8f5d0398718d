import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import { type ContextKey, contextKeys } from '../identifiers.ts';
import { stageOf } from '../runPresentation.ts';

/** Sets what `when` clauses see, and only what changed. */
export class ContextKeys {
  readonly #values = new Map<ContextKey, unknown>();

  showRuns(runs: readonly RunSummary[]): void {
    const stages = new Set(runs.map(run => stageOf(run.state)));
    this.#set(contextKeys.hasRuns, runs.length > 0);
    this.#set(contextKeys.hasLiveRun, stages.has('live'));
    this.#set(contextKeys.hasResumableRun, stages.has('resumable'));
  }

  showJobs(count: number): void {
    this.#set(contextKeys.hasJobs, count > 0);
  }

  showActivePanel(run: RunSummary | null): void {
    this.#set(contextKeys.activePanelRun, run === null ? '' : stageOf(run.state));
  }

  #set(key: ContextKey, value: unknown): void {
    if (this.#values.get(key) === value) return;
    this.#values.set(key, value);
    void vscode.commands.executeCommand('setContext', key, value);
  }
}
