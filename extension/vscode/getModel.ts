import * as vscode from 'vscode';
import { megabytes, publishedModels } from '../../trainer/checkpoints/publishedModels.ts';
import { licenceText, type ModelDownloads, type ModelOffer } from '../modelDownload.ts';
import { describeTransfer } from '../transferText.ts';
import { withCancel } from './cancellable.ts';
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
  const offer = await withCancel(`Asking the Hugging Face hub for ${name}`, signal =>
    downloads.offer(name, signal),
  );
  if (!offer.present && !(await agrees(offer))) return null;
  const directory = await withCancel(`Downloading ${offer.title}`, (signal, report) =>
    downloads.fetch(
      name,
      bytes => report(describeTransfer(bytes), (100 * bytes.received) / bytes.total),
      signal,
    ),
  );
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
