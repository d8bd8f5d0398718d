import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import type { Disposable } from '../emitter.ts';
import type { CommandId } from '../identifiers.ts';
import { describeRun, statusBarText } from '../runPresentation.ts';

/** The status-bar entry that is there while something trains; a click opens the training panel. */
export class StatusBar implements Disposable {
  readonly #item: vscode.StatusBarItem;

  constructor() {
    this.#item = vscode.window.createStatusBarItem('clipself.training', vscode.StatusBarAlignment.Left, 0);
    this.#item.name = 'CLIPSelf Training';
  }

  show(live: readonly RunSummary[]): void {
    const text = statusBarText(live);
    if (text === null) {
      this.#item.hide();
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

  dispose(): void {
    this.#item.dispose();
  }
}
