import * as vscode from 'vscode';
import { megabytes, publishedModels } from '../../trainer/checkpoints/publishedModels.ts';
import { describeReceived, licenceText, type ModelDownloads, type ModelOffer } from '../modelDownload.ts';
import type { WorkspaceMemory } from './memento.ts';
import { ask, type ChoiceItem } from './quickPicks.ts';

const TITLE = 'Get a Model';

/**
 * Get a Model: asks which, shows its licence, fetches it with progress and remembers it.
 *
 * @returns The folder of the model; null when the user cancelled or did not agree.
 */
export async function getModel(downloads: ModelDownloads, memory: WorkspaceMemory): Promise<string | null> {
  const answer = await ask({ title: TITLE, placeholder: 'Which published CLIP model?', items: modelItems() });
  if (answer.kind !== 'answered') return null;
  const name = answer.value;
  const offer = await cancellable(`Asking the Hugging Face hub for ${name}`, signal =>
    downloads.offer(name, signal),
  );
  if (!offer.present && !(await agrees(offer))) return null;
  const directory = await cancellable(`Downloading ${offer.title}`, (signal, report) => {
    let percent = 0;
    return downloads.fetch(
      name,
      bytes => {
        const reached = (100 * bytes.received) / bytes.total;
        report({ message: describeReceived(bytes), increment: reached - percent });
        percent = reached;
      },
      signal,
    );
  });
  await memory.models.add(directory);
  return directory;
}

const modelItems = (): ChoiceItem<string>[] =>
  publishedModels.map(({ name, title, bytes, licence }) => ({
    label: title,
    description: megabytes(bytes),
    detail: licence,
    choice: name,
  }));

async function agrees(offer: ModelOffer): Promise<boolean> {
  const agree = 'Agree and Download';
  const options = { modal: true, detail: licenceText(offer) };
  const chosen = await vscode.window.showInformationMessage(`Download ${offer.title}?`, options, agree);
  return chosen === agree;
}

type Report = (value: { message?: string; increment?: number }) => void;

/** Shows a notification with a cancel button during the task. */
function cancellable<T>(
  title: string,
  task: (signal: AbortSignal, report: Report) => Promise<T>,
): Thenable<T> {
  const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title };
  return vscode.window.withProgress(options, (progress, token) => {
    const controller = new AbortController();
    token.onCancellationRequested(() => controller.abort());
    return task(controller.signal, value => progress.report(value));
  });
}
