import path from 'node:path';
import * as vscode from 'vscode';
import { mostRuns, type RunComparison } from '../../trainer/compare/protocol.ts';
import type { ComparisonState } from '../../webview/comparison/protocol.ts';
import { isCompareArgument, runsOfArguments } from '../compareRequest.ts';
import type { ComparisonDialogues } from '../comparisonHandlers.ts';
import { newComparison, parseComparisonState } from '../comparisonState.ts';
import { COMPARISON_PANEL_TYPE, commandTitles } from '../identifiers.ts';
import type { RunRegistry } from '../runRegistry.ts';
import { ComparisonPanel } from './comparisonPanel.ts';
import type { Inspector } from './inspector.ts';
import type { LogChannel } from './logChannel.ts';
import { browse } from './quickPicks.ts';
import { pickRuns } from './runPick.ts';
import { inspectorDefaults } from './settings.ts';

/** What comparisons are made of. */
export interface ComparisonsContext {
  extension: vscode.ExtensionContext;
  registry: RunRegistry;
  channel: LogChannel;
  inspector: Inspector;
}

const title = commandTitles['clipself.compareRuns'];
const kinds = { png: 'PNG image', csv: 'CSV table', tex: 'LaTeX table' } as const;

/** Comparing runs: the command, and the panels of this window. */
export class Comparisons implements vscode.Disposable {
  readonly #context: ComparisonsContext;
  readonly #open: ComparisonPanel[] = [];
  readonly #serializer: vscode.Disposable;

  constructor(context: ComparisonsContext) {
    this.#context = context;
    this.#serializer = vscode.window.registerWebviewPanelSerializer(COMPARISON_PANEL_TYPE, {
      deserializeWebviewPanel: async (panel, stored) => {
        const state = parseComparisonState(stored);
        if (state === null) panel.dispose();
        else this.#adopt(panel, state);
      },
    });
  }

  /**
   * The command: compares the runs of its argument or of the selection, or those that the user picks.
   *
   * @param active Run of the active training panel, which is picked to begin with.
   * @returns The comparison; null when the user cancelled.
   */
  async compare(argument: unknown, selection: unknown, active: string | null): Promise<RunComparison | null> {
    const named = runsOfArguments(argument, selection);
    if (named.length < 2 && isCompareArgument(argument))
      throw new Error('clipself.compareRuns takes the absolute paths of two to six run directories.');
    const chosen = named.length > 1 ? named : await this.#pick(named, named[0] ?? active);
    if (chosen === null || chosen.length < 2) return null;
    return this.#show(chosen).model.comparison();
  }

  /** Puts a run into the comparison that was opened last, or asks what to compare it with. */
  async add(directory: string): Promise<void> {
    const panel = this.#open.at(-1);
    if (panel === undefined) {
      await this.compare(undefined, undefined, directory);
      return;
    }
    const { directories } = panel.model;
    if (!directories.includes(directory) && directories.length >= mostRuns)
      throw new Error(`The comparison has ${mostRuns} runs already: take one out first.`);
    panel.model.add([directory]);
    panel.reveal();
  }

  /** Runs are picked from a list; `first` is in the comparison whatever is picked. */
  async #pick(named: readonly string[], first: string | null): Promise<string[] | null> {
    const { registry } = this.#context;
    await registry.refresh();
    const others = registry.runs.filter(run => run.directory !== first);
    if (others.length + (first === null ? 0 : 1) < 2)
      throw new Error('There is nothing to compare: it takes two runs.');
    const question =
      first === null
        ? `Which runs? Two to ${mostRuns}`
        : `Which runs are compared with ${path.basename(first)}?`;
    const picked = await pickRuns(others, title, question);
    if (picked === null || picked.length === 0) return null;
    const chosen = [...new Set([...named, ...(first === null ? [] : [first]), ...picked])];
    if (chosen.length < 2) throw new Error('Choose at least two runs.');
    if (chosen.length > mostRuns)
      throw new Error(`At most ${mostRuns} runs can be compared; ${chosen.length} were chosen.`);
    return chosen;
  }

  /** Shows the panel that compares exactly these runs, or a new one. */
  #show(directories: readonly string[]): ComparisonPanel {
    const key = [...directories].sort().join('\n');
    const open = this.#open.find(({ model }) => [...model.directories].sort().join('\n') === key);
    if (open !== undefined) {
      open.reveal();
      return open;
    }
    const column = { viewColumn: vscode.ViewColumn.Active, preserveFocus: false };
    const panel = vscode.window.createWebviewPanel(COMPARISON_PANEL_TYPE, title, column);
    return this.#adopt(panel, newComparison(directories));
  }

  #adopt(panel: vscode.WebviewPanel, state: ComparisonState): ComparisonPanel {
    const { extension, inspector, channel } = this.#context;
    const adopted = new ComparisonPanel(panel, state, {
      extensionUri: extension.extensionUri,
      service: inspector.service,
      dialogues: this.#dialogues(),
      reportError: message => channel.error(message),
    });
    this.#open.push(adopted);
    adopted.onDidClose(() => this.#open.splice(this.#open.indexOf(adopted), 1));
    return adopted;
  }

  #dialogues(): ComparisonDialogues {
    const { registry } = this.#context;
    return {
      pickRuns: async chosen => {
        await registry.refresh();
        const others = registry.runs.filter(({ directory }) => !chosen.includes(directory));
        if (others.length === 0) throw new Error('All runs of this workspace are in the comparison.');
        const room = mostRuns - chosen.length;
        return pickRuns(others, 'Add Runs to the Comparison', `Which runs? At most ${room}`);
      },
      browseImage: () =>
        browse({
          title: 'Image to look at through every run',
          openLabel: 'Use This Image',
          filters: { Images: ['jpg', 'jpeg', 'png', 'webp', 'bmp', 'gif', 'tif', 'tiff'] },
        }),
      savePath: async (name, kind) => {
        const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '';
        const target = await vscode.window.showSaveDialog({
          defaultUri: vscode.Uri.file(path.join(folder, name)),
          filters: { [kinds[kind]]: [kind] },
        });
        return target?.fsPath ?? null;
      },
      write: async (file, bytes) =>
        vscode.workspace.fs.writeFile(vscode.Uri.file(file), new Uint8Array(bytes)),
      copy: async text => vscode.env.clipboard.writeText(text),
      openRun: async directory => {
        await vscode.commands.executeCommand('clipself.openTrainingPanel', directory);
      },
      inspectorSize: () => inspectorDefaults().size,
    };
  }

  dispose(): void {
    this.#serializer.dispose();
    for (const panel of [...this.#open]) panel.dispose();
  }
}
