import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { EvaluationReport } from '../../trainer/evaluate/protocol.ts';
import type { RunConfiguration } from '../../trainer/protocol.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { summariseRun } from '../../trainer/runs/runSummary.ts';

/** Milliseconds that a step of the walkthrough may take on a slow machine. */
const PATIENCE = 120_000;

describe('the walkthrough', function () {
  this.timeout(2 * PATIENCE);

  const labels = (): string[] =>
    vscode.window.tabGroups.all.flatMap(group => group.tabs).map(({ label }) => label);

  async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      if (await holds()) return;
      await sleep(100);
    }
    throw new Error(`waited in vain for ${what}; tabs: ${labels().join(', ')}`);
  }

  it('opens the inspector on scenes in a folder of the user', async () => {
    const images = await vscode.commands.executeCommand<string[]>('clipself.inspectDemo');
    assert.equal(images.length, 8);
    const { extensionPath } = vscode.extensions.getExtension('clipself-lab.clipself-lab')!;
    for (const image of images) {
      assert.ok(existsSync(image));
      assert.ok(path.relative(extensionPath, image).startsWith('..'), image);
    }
    await until('the inspector', () => labels().some(label => label.includes('000001.jpg')));
  });

  it('fine-tunes on scenes and evaluates on others, whose report opens', async () => {
    const run = await vscode.commands.executeCommand<string>('clipself.fineTuneDemo');
    const { settings }: RunConfiguration = JSON.parse(await readFile(path.join(run, 'config.json'), 'utf8'));
    assert.equal(path.basename(settings.images), 'scenes');
    assert.equal(path.basename(settings.boxes!), 'proposals.json');
    assert.equal(path.dirname(settings.evaluateImages!), path.dirname(settings.evaluatePanoptic!));
    const history = () => readMetricHistory(path.join(run, 'metrics.jsonl'));
    await until('a step', async () => (await history()).steps.length > 0);
    await vscode.commands.executeCommand('clipself.stop', run);
    await until('the end', async () => (await summariseRun(run)).state === 'stopped');
    const report = await vscode.commands.executeCommand<string>('clipself.evaluateDemo');
    assert.ok(path.relative(run, report).startsWith('evaluations'), report);
    const { counts, numbers }: EvaluationReport = JSON.parse(await readFile(report, 'utf8'));
    assert.equal(counts.images, 32);
    // The tiny CLIP knows crops; its dense features are what CLIPSelf is for.
    assert.ok(numbers['crops.thing.macc1']! > 3 * numbers['rois.thing.macc1']!);
    await until('the panel', () => labels().some(label => label.startsWith('Evaluation: ')));
  });
});
