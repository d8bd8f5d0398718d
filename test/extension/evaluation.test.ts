import assert from 'node:assert/strict';
import { cp, mkdtemp, realpath, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { InspectorWishes } from '../../extension/inspectorState.ts';
import { evaluationDialogues } from '../../extension/vscode/evaluationDialogues.ts';
import { runReportPath } from '../../trainer/evaluate/protocol.ts';
import {
  type Evaluation,
  makeEvaluation,
  numberedClasses,
  writeEvaluation,
} from '../support/evaluationReports.ts';
import { TestRun } from '../support/runDirectories.ts';

const EXTENSION = 'clipself-lab.clipself-lab';
const EDITOR = 'clipself.evaluation';

/** Milliseconds that the window may take on a slow machine. */
const PATIENCE = 30_000;

describe('evaluations in the extension host', function () {
  this.timeout(2 * PATIENCE);
  let folder: string;
  let run: string;
  let report: string;

  const open = (argument: unknown) =>
    Promise.resolve(vscode.commands.executeCommand('clipself.openEvaluation', argument));
  const labels = (): string[] =>
    vscode.window.tabGroups.all.flatMap(group => group.tabs).map(tab => tab.label);

  async function until(what: string, holds: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      if (holds()) return;
      await sleep(100);
    }
    throw new Error(`waited in vain for ${what}; tabs: ${labels().join(', ')}`);
  }

  const evaluation = (epoch: number): Evaluation =>
    makeEvaluation({
      ...{ seed: 2, classes: numberedClasses(6), regions: 40, imageFolder: '/images', run, epoch },
      images: [{ name: 'a.jpg', width: 100, height: 80 }],
      skill: { rois: 0.3 + 0.1 * epoch, maskpool: 0.3, crops: 0.7 },
    });

  before(async () => {
    folder = await realpath(await mkdtemp(path.join(os.tmpdir(), 'clipself-evaluation-')));
    run = path.join(folder, 'evaluated');
    await TestRun.create(run);
    report = path.join(folder, 'other/report.json');
    await writeEvaluation(report, evaluation(0));
  });

  after(async () => {
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    await rm(folder, { recursive: true, force: true });
  });

  it('opens the panel of a run that has none yet', async () => {
    assert.equal(await open(run), null);
    await until('the panel', () => labels().includes('Evaluation: evaluated'));
  });

  it('opens the latest evaluation of a run, in the panel that is open', async () => {
    for (const epoch of [0, 2])
      await writeEvaluation(path.join(run, runReportPath(epoch)), evaluation(epoch));
    assert.equal(await open({ directory: run }), path.join(run, runReportPath(2)));
    assert.equal(labels().filter(label => label === 'Evaluation: evaluated').length, 1);
  });

  it('opens a report by its file, and two reports for comparison', async () => {
    assert.equal(await open(vscode.Uri.file(report)), report);
    await until('its panel', () => labels().includes(`Evaluation: ${path.join('other', 'report.json')}`));
    const first = path.join(run, runReportPath(0));
    assert.equal(await open({ report: first, before: report }), first);
  });

  it('is an editor that reports can be reopened with', async () => {
    const copy = path.join(folder, 'lvis.report.json');
    await cp(report, copy);
    await vscode.commands.executeCommand('vscode.openWith', vscode.Uri.file(copy), EDITOR);
    await until('the editor', () => {
      const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
      return input instanceof vscode.TabInputCustom && input.viewType === EDITOR && input.uri.fsPath === copy;
    });
  });

  it('tells a caller what is wrong with the argument', async () => {
    await assert.rejects(open({ report: 'relative.json' }), /“report” must be an absolute path/);
    await assert.rejects(open({ report: path.join(folder, 'gone.json') }), /is not there/);
  });

  it('marks a region in the inspector where the model of the report is there', async () => {
    const shown: [image: string, wishes: InspectorWishes][] = [];
    const dialogues = evaluationDialogues({ showBeside: (image, wishes) => shown.push([image, wishes]) });
    const { report: content, regions } = evaluation(0);
    const region = { image: '/images/a.jpg', box: regions[0]!.box, label: 'cup' };
    const model = path.join(vscode.extensions.getExtension(EXTENSION)!.extensionPath, 'media/demo/model');
    const withModel = { ...content, model: { ...content.model, run: null, path: model } };
    assert.equal(await dialogues.inspect({ ...region, report: withModel }), true);
    const [image, { source, view, boxes }] = shown[0]!;
    assert.deepEqual([image, source, view], [region.image, { kind: 'file', path: model }, 'regions']);
    assert.deepEqual(boxes, [{ box: region.box, label: 'cup', mask: null }]);
    const ofRun = { ...content, model: { ...content.model, run, epoch: 0 } };
    assert.equal(await dialogues.inspect({ ...region, report: ofRun }), true);
    assert.deepEqual(shown[1]![1].source, { kind: 'original', directory: run });
    const without = {
      ...content,
      model: { ...content.model, run: null, path: path.join(folder, 'no.safetensors') },
    };
    assert.equal(await dialogues.inspect({ ...region, report: without }), false);
  });
});
