import path from 'node:path';
import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import type { CommandId } from '../identifiers.ts';
import { farewell, stageOf } from '../runPresentation.ts';

interface Action {
  title: string;
  command: CommandId;
}

const panelAction: Action = { title: 'Open Training Panel', command: 'clipself.openTrainingPanel' };
const resumeAction: Action = { title: 'Resume', command: 'clipself.resume' };
const revealAction: Action = { title: 'Reveal Run', command: 'clipself.revealRun' };
const logAction: Action = { title: 'Show Log', command: 'clipself.showLog' };

/** Tells that a run reached its end, stopped or broke, with what can be done next. */
export async function sayFarewell(run: RunSummary): Promise<void> {
  const { evaluations } = await readMetricHistory(runFiles(run.directory).metrics);
  const message = farewell(run, evaluations);
  if (run.state === 'failed') {
    await offer(vscode.window.showErrorMessage, message, [logAction, resumeAction], run.directory);
  } else if (run.state === 'interrupted') {
    await offer(vscode.window.showWarningMessage, message, [resumeAction, logAction], run.directory);
  } else {
    const next = stageOf(run.state) === 'resumable' ? resumeAction : revealAction;
    await offer(vscode.window.showInformationMessage, message, [panelAction, next], run.directory);
  }
}

/** Tells that a model is there, with what it is for. */
export async function sayModelReady(directory: string): Promise<void> {
  const fineTune = 'Fine-tune CLIPSelf';
  const message = `“${path.basename(directory)}” is ready.`;
  const chosen = await vscode.window.showInformationMessage(message, fineTune);
  const command: CommandId = 'clipself.fineTune';
  if (chosen === fineTune) await vscode.commands.executeCommand(command, vscode.Uri.file(directory));
}

/** Tells why something was not done. */
export async function sayProblem(message: string): Promise<void> {
  await offer(vscode.window.showErrorMessage, message, [logAction], undefined);
}

async function offer(
  show: (message: string, ...actions: Action[]) => Thenable<Action | undefined>,
  message: string,
  actions: Action[],
  directory: string | undefined,
): Promise<void> {
  const chosen = await show(message, ...actions);
  if (chosen === undefined) return;
  await vscode.commands.executeCommand(chosen.command, ...(directory === undefined ? [] : [directory]));
}
