import assert from 'node:assert/strict';
import { copyFile, cp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import { writeNpy } from '../../trainer/checkpoints/npyFile.ts';
import type { EvaluationReport } from '../../trainer/evaluate/protocol.ts';
import type { SegmentationReport } from '../../trainer/segment/protocol.ts';

const EXTENSION = 'clipself-lab.clipself-lab';

describe('evaluating from the extension host', function () {
  this.timeout(120_000);

  it('writes a report into the workspace and opens it', async () => {
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
    });
    assert.ok(report.startsWith(path.join(workspace, 'evaluations')), report);
    const content = JSON.parse(await readFile(report, 'utf8')) as EvaluationReport;
    assert.equal(content.counts.images, 4);
    assert.equal(Object.keys(content.numbers).length, 12);
    // The list of tabs follows a little later.
    const labels = () => vscode.window.tabGroups.all.flatMap(group => group.tabs).map(({ label }) => label);
    for (let wait = 0; wait < 100 && !labels().some(label => label.startsWith('Evaluation: ')); wait++)
      await sleep(50);
    assert.ok(
      labels().some(label => label.startsWith('Evaluation: ')),
      `tabs: ${labels().join(', ')}`,
    );
  });

  it('segments, and opens what it wrote', async () => {
    const { extensionPath } = vscode.extensions.getExtension(EXTENSION)!;
    const workspace = vscode.workspace.workspaceFolders![0]!.uri.fsPath;
    const datasets = path.join(extensionPath, 'test/fixtures/datasets');
    const labels = path.join(workspace, 'labels.json');
    await copyFile(path.join(datasets, 'panoptic.json'), labels);
    await cp(path.join(datasets, 'pan_seg'), path.join(workspace, 'labels'), { recursive: true });
    const report = await vscode.commands.executeCommand<string>('clipself.segment', {
      ...{ model: path.join(extensionPath, 'media/demo/model'), format: 'panoptic', labels },
      ...{ images: path.join(datasets, 'pan_img'), size: 64 },
    });
    assert.ok(report.startsWith(path.join(workspace, 'evaluations', 'segmentation-model-labels-')), report);
    const content = JSON.parse(await readFile(report, 'utf8')) as SegmentationReport;
    assert.deepEqual([content.kind, content.counts.images, content.overlays.length], ['segmentation', 4, 4]);
    const opened = await vscode.commands.executeCommand<string>('clipself.openEvaluation', { report });
    assert.equal(opened, report);
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
