import path from 'node:path';
import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import type { Disposable } from '../emitter.ts';
import { type CommandId, RUNS_VIEW } from '../identifiers.ts';
import { describeRun, formatDuration, iconOf, speakRun, stageOf } from '../runPresentation.ts';
import { describeJob, type SlurmJob } from '../slurmJobs.ts';

/** A run, or a job whose run has not begun. */
type RunEntry = RunSummary | SlurmJob;

/** The view of all runs, and of the jobs that wait to train. */
export class RunTree implements vscode.TreeDataProvider<RunEntry>, Disposable {
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly #view: vscode.TreeView<RunEntry>;
  #runs: readonly RunSummary[] = [];
  #jobs: readonly SlurmJob[] = [];

  readonly onDidChangeTreeData = this.#changed.event;

  constructor() {
    this.#view = vscode.window.createTreeView(RUNS_VIEW, {
      treeDataProvider: this,
      canSelectMany: true,
    });
  }

  /** @param jobs In the queue. */
  show(runs: readonly RunSummary[], jobs: readonly SlurmJob[]): void {
    this.#runs = runs;
    this.#jobs = jobs;
    const live = runs.filter(run => stageOf(run.state) === 'live').length;
    this.#view.badge =
      live === 0 ? undefined : { value: live, tooltip: live === 1 ? '1 run trains' : `${live} runs train` };
    this.#changed.fire(undefined);
  }

  getChildren(parent?: RunEntry): RunEntry[] {
    if (parent !== undefined) return [];
    const begun = new Set(this.#runs.map(({ directory }) => directory));
    return [...this.#jobs.filter(({ directory }) => !begun.has(directory)), ...this.#runs];
  }

  getTreeItem(entry: RunEntry): vscode.TreeItem {
    return 'job' in entry ? jobItem(entry) : this.#runItem(entry);
  }

  #runItem(run: RunSummary): vscode.TreeItem {
    const job = this.#jobs.find(({ directory }) => directory === run.directory);
    const { codicon, colour } = iconOf(run.state);
    const command: CommandId = 'clipself.openTrainingPanel';
    const item = new vscode.TreeItem(run.name, vscode.TreeItemCollapsibleState.None);
    item.id = run.directory;
    item.description = [describeRun(run), ...(job ? [describeJob(job)] : [])].join(' · ');
    // What is queued again is resumed by Slurm.
    item.contextValue = `run.${stageOf(run.state)}${job ? '.job' : ''}`;
    item.iconPath = new vscode.ThemeIcon(
      codicon,
      colour === undefined ? undefined : new vscode.ThemeColor(colour),
    );
    item.accessibilityInformation = { label: job ? `${speakRun(run)}, ${describeJob(job)}` : speakRun(run) };
    item.command = { title: 'Open Training Panel', command, arguments: [run.directory] };
    item.tooltip = tooltipOf(run);
    return item;
  }

  dispose(): void {
    this.#view.dispose();
    this.#changed.dispose();
  }
}

function jobItem(job: SlurmJob): vscode.TreeItem {
  const name = path.basename(job.directory);
  const item = new vscode.TreeItem(name, vscode.TreeItemCollapsibleState.None);
  item.id = `job ${job.job}`;
  item.description = describeJob(job);
  item.contextValue = 'job.waiting';
  item.iconPath = new vscode.ThemeIcon('clock');
  item.accessibilityInformation = { label: `${name}, Slurm ${describeJob(job)}` };
  item.tooltip = `Slurm ${describeJob(job)}\n${job.directory}`;
  return item;
}

function tooltipOf(run: RunSummary): vscode.MarkdownString {
  const rows: [string, string][] = [
    ['State', run.state],
    ['Step', `${run.step} of ${run.totalSteps}`],
    ['Epoch', `${run.epoch} of ${run.epochs}`],
  ];
  if (run.loss !== null) rows.push(['Loss', run.loss.toFixed(5)]);
  if (run.etaSeconds !== null) rows.push(['Time left', formatDuration(run.etaSeconds)]);
  if (run.host !== null) rows.push(['Trained on', run.host]);
  rows.push(['Updated', new Date(run.updated).toLocaleString()], ['Folder', run.directory]);
  if (run.message !== null) rows.push(['Reason', run.message]);
  // Names and messages come from files: they are put in as text, never as markdown.
  const tooltip = new vscode.MarkdownString();
  tooltip.appendMarkdown('**').appendText(run.name).appendMarkdown('**\n\n');
  for (const [name, value] of rows) {
    tooltip.appendMarkdown(`${name}: `).appendText(value).appendMarkdown('  \n');
  }
  return tooltip;
}
