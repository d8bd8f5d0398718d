import path from 'node:path';
import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import type { Disposable } from '../emitter.ts';
import { type CommandId, RUNS_VIEW } from '../identifiers.ts';
import { describeRun, statusBarText } from '../runPresentation.ts';
import { describeJob, type SlurmJob } from '../slurmJobs.ts';

/** The status-bar entry that is there while something trains; a click opens the training panel. */
export class StatusBar implements Disposable {
  readonly #item: vscode.StatusBarItem;

  constructor() {
    this.#item = vscode.window.createStatusBarItem('clipself.training', vscode.StatusBarAlignment.Left, 0);
    this.#item.name = 'CLIPSelf Training';
  }

  /** @param jobs In the queue, whether they train or wait. */
  show(live: readonly RunSummary[], jobs: readonly SlurmJob[]): void {
    const text = statusBarText(live);
    if (text === null) {
      this.#showJobs(jobs);
      return;
    }
    const command: CommandId = 'clipself.openTrainingPanel';
    const lines = live.map(run => `${run.name}: ${describeRun(run)}`);
    this.#item.text = text;
    this.#item.tooltip = ['CLIPSelf fine-tuning', ...lines].join('\n');
    this.#item.accessibilityInformation = { label: ['CLIPSelf fine-tuning', ...lines].join(', ') };
    // With several runs the command asks which one.
    this.#item.command = {
      title: 'Open Training Panel',
      command,
      arguments: live.length === 1 ? [live[0]!.directory] : [],
    };
    this.#item.show();
  }

  #showJobs(jobs: readonly SlurmJob[]): void {
    const [first] = jobs;
    if (first === undefined) {
      this.#item.hide();
      return;
    }
    const text = jobs.length > 1 ? `${jobs.length} Slurm jobs` : describeJob(first);
    const tooltip = [
      'CLIPSelf jobs',
      ...jobs.map(job => `${path.basename(job.directory)}: ${describeJob(job)}`),
    ];
    this.#item.text = `$(clock) CLIPSelf: ${text}`;
    this.#item.tooltip = tooltip.join('\n');
    this.#item.accessibilityInformation = { label: tooltip.join(', ') };
    this.#item.command = `${RUNS_VIEW}.focus`;
    this.#item.show();
  }

  dispose(): void {
    this.#item.dispose();
  }
}
