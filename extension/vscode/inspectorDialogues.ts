import { stat } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import type { TransferProgress } from '../../trainer/transferMeter.ts';
import type { LoadedBoxes } from '../../webview/inspector/protocol/requests.ts';
import { readCocoBoxes } from '../cocoBoxes.ts';
import { writeFeatures } from '../featureExport.ts';
import { reproducingLine } from '../inspectorCommandLine.ts';
import type { InspectorDialogues } from '../inspectorHandlers.ts';
import type { InspectorModels } from '../inspectorModels.ts';
import { CommandCancelledError } from '../runCommand.ts';
import { describeTransfer } from '../transferText.ts';
import { withCancel } from './cancellable.ts';
import type { WorkspaceMemory } from './memento.ts';
import { browse } from './quickPicks.ts';

const kinds = {
  png: 'PNG image',
  svg: 'SVG drawing',
  csv: 'CSV table',
  npy: 'NumPy array',
  safetensors: 'safetensors file',
} as const;

/** Reading as many bytes of annotations takes about two seconds: larger files show how far it is. */
const LARGE_ANNOTATIONS = 32 * 2 ** 20;

/** Asks where to put a file; null when dismissed. Proposes the folder of the image. */
async function askForTarget(
  image: string,
  name: string,
  kind: keyof typeof kinds,
): Promise<vscode.Uri | null> {
  // The name comes from the panel: only its last part counts.
  const proposed = path.join(path.dirname(image), path.basename(name));
  const chosen = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.file(proposed),
    filters: { [kinds[kind]]: [kind] },
  });
  return chosen ?? null;
}

/** Boxes of an image; null when the user gave the reading up. */
async function loadBoxes(file: string, image: string): Promise<LoadedBoxes | null> {
  const size = await stat(file).then(
    status => status.size,
    () => 0,
  );
  if (size < LARGE_ANNOTATIONS) return readCocoBoxes(file, image);
  return withCancel(`Reading ${path.basename(file)}`, async (signal, report) => {
    const progress = (transfer: TransferProgress): void =>
      report(describeTransfer(transfer), (100 * transfer.received) / transfer.total);
    try {
      return await readCocoBoxes(file, image, { signal, progress });
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  });
}

/** The dialogues of inspector panels. */
export function inspectorDialogues(
  models: Pick<InspectorModels, 'referenceOf' | 'refresh'>,
  memory: WorkspaceMemory,
  getModel: () => Promise<string | null>,
): InspectorDialogues {
  return {
    browseModel: async () => {
      const chosen = await browse({
        title: 'CLIP weights, or a folder that holds them',
        openLabel: 'Use This Model',
        canSelectFiles: true,
        canSelectFolders: true,
        filters: { 'CLIP weights': ['safetensors', 'pt', 'pth', 'bin'], 'All files': ['*'] },
      });
      if (chosen === null) return null;
      await memory.models.add(chosen);
      await models.refresh();
      return { kind: 'file', path: chosen };
    },
    getModel: async () => {
      try {
        const directory = await getModel();
        if (directory === null) return null;
        await models.refresh();
        return { kind: 'file', path: directory };
      } catch (error) {
        if (error instanceof CommandCancelledError) return null;
        throw error;
      }
    },
    loadBoxes: async image => {
      const chosen = await browse({
        title: 'Boxes or masks: COCO-style annotations',
        openLabel: 'Load Regions',
        canSelectFiles: true,
        filters: { 'COCO annotations': ['json'] },
      });
      return chosen === null ? null : loadBoxes(chosen, image);
    },
    browseWords: () =>
      browse({
        title: 'Class embeddings: a row for each word, in the order of the words',
        openLabel: 'Use These Embeddings',
        canSelectFiles: true,
        filters: { 'NumPy array': ['npy'] },
      }),
    save: async ({ name, kind, bytes }, image) => {
      const target = await askForTarget(image, name, kind);
      if (target === null) return null;
      await vscode.workspace.fs.writeFile(target, new Uint8Array(bytes));
      return target.fsPath;
    },
    saveFeatures: async (format, features, image) => {
      const name = `${path.parse(image).name}-features.${format}`;
      const target = await askForTarget(image, name, format);
      if (target === null) return null;
      await writeFeatures(target.fsPath, format, features);
      return target.fsPath;
    },
    copyCommand: async (query, image, look) => {
      const reference = await models.referenceOf(query.query.source);
      const line = reproducingLine(query, reference, image, look, process.platform);
      await vscode.env.clipboard.writeText(line);
      return line;
    },
  };
}
