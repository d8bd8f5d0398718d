import { stat } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import type { EvaluationReport } from '../../trainer/evaluate/protocol.ts';
import type { ModelSource } from '../../webview/inspector/protocol/models.ts';
import type { EvaluationDialogues } from '../evaluationHandlers.ts';
import type { Inspector } from './inspector.ts';
import { browse } from './quickPicks.ts';

const kinds = { png: 'PNG image', csv: 'CSV table', json: 'JSON', tex: 'LaTeX table row' } as const;

/** What evaluation panels ask of VS Code. */
export function evaluationDialogues(inspector: Pick<Inspector, 'showBeside'>): EvaluationDialogues {
  return {
    browseReport: async () => {
      const chosen = await browse({
        title: 'Report of an evaluation',
        openLabel: 'Compare',
        canSelectFiles: true,
        filters: { Reports: ['json'] },
      });
      return chosen === null ? null : { kind: 'file', path: chosen };
    },
    browseSegmentation: () =>
      browse({
        title: 'Report of a segmentation',
        openLabel: 'Look at It',
        canSelectFiles: true,
        filters: { Reports: ['json'] },
      }),
    browseImages: () =>
      browse({
        title: 'Folder of the images that were evaluated',
        openLabel: 'Use This Folder',
        canSelectFiles: false,
        canSelectFolders: true,
      }),
    save: async ({ name, kind, bytes }, report) => {
      // The name comes from the panel: only its last part counts.
      const folder =
        report === null ? (vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '') : path.dirname(report);
      const target = await vscode.window.showSaveDialog({
        defaultUri: vscode.Uri.file(path.join(folder, path.basename(name))),
        filters: { [kinds[kind]]: [kind] },
      });
      if (target === undefined) return null;
      await vscode.workspace.fs.writeFile(target, new Uint8Array(bytes));
      return target.fsPath;
    },
    copy: async text => vscode.env.clipboard.writeText(text),
    openText: async file => {
      await vscode.commands.executeCommand('vscode.openWith', vscode.Uri.file(file), 'default');
    },
    openImage: async file => {
      await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(file), vscode.ViewColumn.Beside);
    },
    inspect: async ({ image, box, label, report }) => {
      if (!vscode.workspace.isTrusted) return false;
      const source = await sourceOf(report);
      if (source === null) return false;
      inspector.showBeside(image, {
        source,
        size: report.size,
        view: 'regions',
        boxes: [{ box, label, mask: null }],
      });
      return true;
    },
  };
}

/** The model of a report as the inspector names it; null where its weights are not there any more. */
async function sourceOf({ model }: EvaluationReport): Promise<ModelSource | null> {
  const exists = (file: string) =>
    stat(file).then(
      () => path.isAbsolute(file),
      () => false,
    );
  if (model.run !== null && (await exists(path.join(model.run, 'config.json')))) {
    if (model.epoch === 0) return { kind: 'original', directory: model.run };
    const step = model.epoch === null ? model.step : null;
    if (step !== null) return { kind: 'run', directory: model.run, step };
    // Blends of earlier epochs are not kept: the latest stands for them.
    if (await exists(path.join(model.run, 'student.safetensors')))
      return { kind: 'run', directory: model.run, step: null };
  }
  return (await exists(model.path)) ? { kind: 'file', path: model.path } : null;
}
