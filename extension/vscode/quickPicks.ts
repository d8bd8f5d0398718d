import * as vscode from 'vscode';
import type { StepOutcome, StepPosition } from '../wizard.ts';

/** An entry of a quick pick that stands for a value; a heading between entries has none. */
export interface ChoiceItem<T> extends vscode.QuickPickItem {
  choice?: T;
}

export interface Question<T> {
  title: string;
  placeholder: string;
  /** Entries; while they are gathered the pick shows that it is busy. */
  items: ChoiceItem<T>[] | Promise<ChoiceItem<T>[]>;
  position?: StepPosition;
}

export function heading<T>(label: string): ChoiceItem<T> {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}

/** Asks one question of a series; "back" and closing the pick are told apart. */
export async function ask<T>(question: Question<T>): Promise<StepOutcome<T>> {
  const pick = vscode.window.createQuickPick<ChoiceItem<T>>();
  pick.title = question.title;
  pick.placeholder = question.placeholder;
  pick.matchOnDescription = true;
  pick.matchOnDetail = true;
  pick.ignoreFocusOut = true;
  if (question.position !== undefined) {
    pick.step = question.position.number;
    pick.totalSteps = question.position.total;
    if (question.position.canGoBack) pick.buttons = [vscode.QuickInputButtons.Back];
  }
  try {
    return await answerOf(pick, question.items);
  } finally {
    pick.dispose();
  }
}

function answerOf<T>(
  pick: vscode.QuickPick<ChoiceItem<T>>,
  items: Question<T>['items'],
): Promise<StepOutcome<T>> {
  return new Promise((resolve, reject) => {
    pick.onDidAccept(() => {
      const value = pick.selectedItems[0]?.choice;
      if (value !== undefined) resolve({ kind: 'answered', value });
    });
    pick.onDidTriggerButton(() => resolve({ kind: 'back' }));
    pick.onDidHide(() => resolve({ kind: 'cancelled' }));
    pick.busy = true;
    pick.show();
    Promise.resolve(items).then(ready => {
      pick.items = ready;
      pick.busy = false;
    }, reject);
  });
}

/** Asks for several of a list; null when cancelled. */
export async function askForMany<T>(
  options: vscode.QuickPickOptions,
  items: readonly ChoiceItem<T>[],
): Promise<T[] | null> {
  const picked = await vscode.window.showQuickPick(items, {
    ignoreFocusOut: true,
    matchOnDescription: true,
    matchOnDetail: true,
    ...options,
    canPickMany: true,
  });
  return picked?.flatMap(({ choice }) => (choice === undefined ? [] : [choice])) ?? null;
}

/** Asks for a file or a folder of this machine; null when cancelled. */
export async function browse(options: vscode.OpenDialogOptions): Promise<string | null> {
  const chosen = await vscode.window.showOpenDialog({ ...options, canSelectMany: false });
  return chosen?.[0]?.fsPath ?? null;
}
