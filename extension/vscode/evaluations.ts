import * as vscode from 'vscode';
import { evaluationsOf } from '../evaluationFiles.ts';
import type { OpenedReports } from '../evaluationRequest.ts';
import { isEvaluationArgument, openedByArguments, openedByPath, openedByRun } from '../evaluationRequest.ts';
import { directoryOfArgument } from '../runArgument.ts';
import type { RunRegistry } from '../runRegistry.ts';
import { evaluationDialogues } from './evaluationDialogues.ts';
import { EvaluationPanels } from './evaluationPanels.ts';
import type { Inspector } from './inspector.ts';
import type { LogChannel } from './logChannel.ts';
import { browse } from './quickPicks.ts';
import { pickRun } from './runPick.ts';
import type { TrainingPanels } from './trainingPanels.ts';

/** What evaluations are made of. */
export interface EvaluationsContext {
  extension: vscode.ExtensionContext;
  registry: RunRegistry;
  channel: LogChannel;
  inspector: Inspector;
  trainingPanels: TrainingPanels;
}

const TITLE = 'Open Evaluation';

/** Looking at evaluations of region classification. */
export class Evaluations implements vscode.Disposable {
  readonly #context: EvaluationsContext;
  readonly #panels: EvaluationPanels;

  constructor(context: EvaluationsContext) {
    const { channel, extension, inspector, registry } = context;
    this.#context = context;
    this.#panels = new EvaluationPanels({
      extensionUri: extension.extensionUri,
      runs: () => registry.runs,
      dialogues: evaluationDialogues(inspector),
      reportError: message => channel.error(message),
    });
  }

  /**
   * The command: opens the report or run that the argument names, the run of the active training panel, or the one that
   * the user picks.
   *
   * @returns The path of the report in view; null when there is none yet or the user cancelled.
   */
  async open(argument: unknown): Promise<string | null> {
    const reports = await this.#reportsFor(argument);
    return reports === null ? null : this.#panels.show(reports);
  }

  async #reportsFor(argument: unknown): Promise<OpenedReports | null> {
    if (isEvaluationArgument(argument)) return openedByArguments(argument);
    if (argument instanceof vscode.Uri && argument.scheme === 'file') return openedByPath(argument.fsPath);
    if (typeof argument === 'string') return openedByPath(argument);
    const run = directoryOfArgument(argument) ?? this.#context.trainingPanels.active?.directory ?? null;
    if (run !== null) return openedByRun(run);
    const picked = await this.#pick();
    return picked === null ? null : openedByPath(picked);
  }

  /** Runs with evaluations are offered, and files. */
  async #pick(): Promise<string | null> {
    const { registry } = this.#context;
    await registry.refresh();
    const evaluated: boolean[] = await Promise.all(
      registry.runs.map(async ({ directory }) => (await evaluationsOf(directory)).length > 0),
    );
    const runs = registry.runs.filter((_, index) => evaluated[index]);
    return pickRun(runs, TITLE, () =>
      browse({
        title: 'Report of an evaluation',
        openLabel: 'Open Report',
        canSelectFiles: true,
        filters: { Reports: ['json'] },
      }),
    );
  }

  dispose(): void {
    this.#panels.dispose();
  }
}
