import path from 'node:path';
import * as vscode from 'vscode';
import { IMAGE_EXTENSIONS } from '../candidates.ts';
import { checkImages, isImageFile, isInspectArgument, parseInspectArguments } from '../inspectorRequest.ts';
import type { InspectorPanels } from './inspectorPanels.ts';
import { ask, browse, type ChoiceItem, heading } from './quickPicks.ts';
import { findImages } from './workspaceFiles.ts';

const TITLE = 'Inspect Dense Features';
const BROWSE = '';

/**
 * Inspect Dense Features: of the files selected in the explorer, of the editor's own, of the documented argument, or of
 * the image that the user picks. Models are never asked for: the panel opens with the one remembered, or offers one.
 *
 * @returns The images shown; null when the user cancelled.
 */
export async function inspectDenseFeatures(
  panels: InspectorPanels,
  argument: unknown,
  selection: unknown,
  demoModel: string,
): Promise<string[] | null> {
  const chosen = await chosenImages(argument, selection, demoModel);
  if (chosen === null) return null;
  const { images, ...wishes } = chosen;
  panels.show(images, wishes);
  return images;
}

async function chosenImages(
  argument: unknown,
  selection: unknown,
  demoModel: string,
): Promise<ReturnType<typeof parseInspectArguments> | null> {
  if (isInspectArgument(argument)) return parseInspectArguments(argument, demoModel);
  const selected = (Array.isArray(selection) ? selection : [argument]).filter(isFileUri);
  if (selected.length > 0) return { images: imagesAmong(selected.map(uri => uri.fsPath)) };
  const open = imageOfActiveTab();
  if (open !== null) return { images: [open] };
  const picked = await pickImage();
  return picked === null ? null : { images: checkImages([picked]) };
}

function isFileUri(value: unknown): value is vscode.Uri {
  return value instanceof vscode.Uri && value.scheme === 'file';
}

/** Of a mixed selection the images are meant. */
function imagesAmong(files: string[]): string[] {
  const images = files.filter(isImageFile);
  return checkImages(images.length === 0 ? files : images);
}

function imageOfActiveTab(): string | null {
  const input: unknown = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  const isEditor = input instanceof vscode.TabInputCustom || input instanceof vscode.TabInputText;
  if (!isEditor || input.uri.scheme !== 'file' || !isImageFile(input.uri.fsPath)) return null;
  return input.uri.fsPath;
}

async function pickImage(): Promise<string | null> {
  const outcome = await ask({ title: TITLE, placeholder: 'Which image?', items: imageItems() });
  if (outcome.kind !== 'answered') return null;
  if (outcome.value !== BROWSE) return outcome.value;
  return browse({
    title: TITLE,
    openLabel: 'Inspect',
    canSelectFiles: true,
    filters: { Images: [...IMAGE_EXTENSIONS] },
  });
}

async function imageItems(): Promise<ChoiceItem<string>[]> {
  const images = await findImages();
  return [
    ...images.map(image => ({
      label: `$(file-media) ${path.basename(image)}`,
      description: vscode.workspace.asRelativePath(path.dirname(image), true),
      choice: image,
    })),
    heading('elsewhere'),
    { label: '$(folder-opened) Browse for an image…', alwaysShow: true, choice: BROWSE },
  ];
}
