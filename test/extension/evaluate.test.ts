import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { writeNpy } from '../../trainer/checkpoints/npyFile.ts';
import type { EvaluationReport } from '../../trainer/evaluate/protocol.ts';

const EXTENSION = 'clipself-lab.clipself-lab';

describe('evaluating from the extension host', function () {
  this.timeout(120_000);

  it('writes a report into the workspace', async () => {
    const { extensionPath } = vscode.extensions.getExtension(EXTENSION)!;
    const workspace = vscode.workspace.workspaceFolders![0]!.uri.fsPath;
    const model = path.join(extensionPath, 'media/demo/model');
    const configuration = JSON.parse(await readFile(path.join(model, 'open_clip_config.json'), 'utf8'));
    const dimension: number = configuration.model_cfg.embed_dim;
    const embeddings = path.join(workspace, 'words.npy');
    const data = Float32Array.from({ length: 7 * dimension }, (_, index) => Math.sin(index));
    await writeNpy(embeddings, { shape: [7, dimension], data });
    const datasets = path.join(extensionPath, 'test/fixtures/datasets');
    const report = await vscode.commands.executeCommand<string>('clipself.evaluate', {
      model,
      panoptic: path.join(datasets, 'panoptic.json'),
      images: path.join(datasets, 'pan_img'),
      masks: path.join(datasets, 'pan_seg'),
      embeddings,
      size: 64,
      open: false,
    });
    assert.ok(report.startsWith(path.join(workspace, 'evaluations')), report);
    const content = JSON.parse(await readFile(report, 'utf8')) as EvaluationReport;
    assert.equal(content.counts.images, 4);
    assert.equal(Object.keys(content.numbers).length, 12);
  });

  it('tells a program why it failed', async () => {
    const { extensionPath } = vscode.extensions.getExtension(EXTENSION)!;
    const none = path.join(extensionPath, 'none');
    const request = { model: none, panoptic: none, images: none, masks: none };
    await assert.rejects(
      async () => vscode.commands.executeCommand('clipself.evaluate', request),
      /none: cannot read/,
    );
  });
});
