import path from 'node:path';
import * as vscode from 'vscode';
import {
  type EvaluationChoice,
  evaluateArguments,
  evaluationReportPath,
  parseEvaluateArguments,
} from '../regionEvaluation.ts';
import { askForEvaluation, type EvaluatePicksContext } from './evaluatePicks.ts';
import { runWithProgress } from './evaluationProgress.ts';
import { engineSetting, evaluationsFolder } from './settings.ts';

/** The command **Evaluate Region Classification**. */
export class EvaluateCommand {
  readonly #context: EvaluatePicksContext;
  readonly #script: string;

  /** @param extensionFolder Where the extension is installed. */
  constructor(context: EvaluatePicksContext, extensionFolder: string) {
    this.#context = context;
    this.#script = path.join(extensionFolder, 'dist', 'trainer', 'cli.js');
  }

  /**
   * Asks for what the argument leaves open, evaluates in a process of its own and opens the report.
   *
   * @returns The path of the report; null when the user cancelled.
   */
  async evaluate(argument: unknown): Promise<string | null> {
    if (!vscode.workspace.isTrusted)
      throw new Error('Evaluating needs a trusted workspace: run “Workspaces: Manage Workspace Trust”.');
    const given =
      argument instanceof vscode.Uri ? { model: argument.fsPath } : parseEvaluateArguments(argument);
    const choice = await askForEvaluation(given, this.#context);
    if (!choice) return null;
    const report = evaluationReportPath(evaluationsFolder(), choice);
    if ((await this.#run(choice, report)) === 'stopped') return null;
    if (given.open !== false)
      await vscode.commands.executeCommand('clipself.openEvaluation', vscode.Uri.file(report));
    return report;
  }

  #run(choice: EvaluationChoice, report: string): Thenable<'finished' | 'stopped'> {
    const title = `Evaluating ${path.basename(choice.model)}`;
    const args = [...evaluateArguments(choice, report), '--engine', engineSetting()];
    return runWithProgress(title, this.#script, args);
  }
}
