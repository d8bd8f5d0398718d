import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import type { Disposable } from '../emitter.ts';
import { type CommandId, RUNS_VIEW } from '../identifiers.ts';
import { describeRun, formatDuration, iconOf, speakRun, stageOf } from '../runPresentation.ts';

/** The view of all runs. */
export class RunTree implements vscode.TreeDataProvider<RunSummary>, Disposable {
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly #view: vscode.TreeView<RunSummary>;
  #runs: readonly RunSummary[] = [];

  readonly onDidChangeTreeData = this.#changed.event;

  constructor() {
    this.#view = vscode.window.createTreeView(RUNS_VIEW, {
      treeDataProvider: this,
      canSelectMany: true,
    });
  }

  show(runs: readonly RunSummary[]): void {
    this.#runs = runs;
    const live = runs.filter(run => stageOf(run.state) === 'live').length;
    this.#view.badge =
      live === 0 ? undefined : { value: live, tooltip: live === 1 ? '1 run trains' : `${live} runs train` };
    this.#changed.fire(undefined);
  }

  getChildren(parent?: RunSummary): RunSummary[] {
    return parent === undefined ? [...this.#runs] : [];
  }

  getTreeItem(run: RunSummary): vscode.TreeItem {
    const { codicon, colour } = iconOf(run.state);
    const command: CommandId = 'clipself.openTrainingPanel';
    const item = new vscode.TreeItem(run.name, vscode.TreeItemCollapsibleState.None);
    item.id = run.directory;
    item.description = describeRun(run);
    item.contextValue = `run.${stageOf(run.state)}`;
    item.iconPath = new vscode.ThemeIcon(
      codicon,
      colour === undefined ? undefined : new vscode.ThemeColor(colour),
    );
    item.accessibilityInformation = { label: speakRun(run) };
    item.command = { title: 'Open Training Panel', command, arguments: [run.directory] };
    item.tooltip = tooltipOf(run);
    return item;
  }

  dispose(): void {
    this.#view.dispose();
    this.#changed.dispose();
  }
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
