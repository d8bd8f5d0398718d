import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { RunConfiguration, RunState } from '../../trainer/protocol.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { summariseRun } from '../../trainer/runs/runSummary.ts';

const EXTENSION = 'clipself-lab.clipself-lab';

/** Milliseconds that a change of state may take on a slow machine. */
const PATIENCE = 120_000;

describe('training from the extension host', function () {
  this.timeout(2 * PATIENCE);
  let run: string;

  const stepsOf = async (): Promise<number[]> =>
    (await readMetricHistory(path.join(run, 'metrics.jsonl'))).steps.map(({ step }) => step);

  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      if (await holds()) return;
      await sleep(100);
    }
    throw new Error(`waited in vain for ${what}`);
  }

  const untilState = (state: RunState): Promise<void> =>
    until(`the state ${state}`, async () => (await summariseRun(run)).state === state);

  function request(settings: Record<string, unknown>) {
    const extension = vscode.extensions.getExtension(EXTENSION)!.extensionPath;
    const workspace = vscode.workspace.workspaceFolders![0]!.uri.fsPath;
    return {
      model: path.join(extension, 'media/demo/model'),
      images: path.join(workspace, 'images'),
      preset: 'demo',
      settings,
    };
  }

  it('starts a run with the settings it was given', async () => {
    run = await vscode.commands.executeCommand<string>(
      'clipself.fineTune',
      request({ epochs: 5, maxSplit: 3, maxBoxes: 9, seed: 5 }),
    );
    assert.ok(path.isAbsolute(run), run);
    const configuration: RunConfiguration = JSON.parse(await readFile(path.join(run, 'config.json'), 'utf8'));
    assert.equal(configuration.settings.epochs, 5);
    assert.equal(configuration.settings.seed, 5);
    assert.equal(configuration.settings.size, 96);
  });

  it('opens the training panel', async () => {
    const panels = (): vscode.Tab[] =>
      vscode.window.tabGroups.all
        .flatMap(group => group.tabs)
        .filter(({ input }) => input instanceof vscode.TabInputWebview)
        .filter(({ label }) => label.includes(path.basename(run)));
    await until('the panel', async () => panels().length === 1);
  });

  it('sees metrics arrive while it trains', async () => {
    await until('three steps', async () => (await stepsOf()).length >= 3);
    assert.equal((await summariseRun(run)).state, 'running');
  });

  it('stops it gracefully', async () => {
    await vscode.commands.executeCommand('clipself.stop', run);
    await untilState('stopped');
    const steps = await stepsOf();
    const checkpoint = `step-${String(steps.at(-1)).padStart(8, '0')}`;
    assert.ok((await stat(path.join(run, 'checkpoints', checkpoint))).isDirectory());
    assert.ok((await stat(path.join(run, 'student.safetensors'))).isFile());
    const lease = path.join(run, 'trainer.json');
    await until('the lease to be given back', async () => !existsSync(lease));
  });

  it('resumes where it stopped and finishes', async () => {
    const before = await stepsOf();
    await vscode.commands.executeCommand('clipself.resume', run);
    await untilState('finished');
    const after = await stepsOf();
    assert.deepEqual(
      after,
      after.map((_, index) => index + 1),
      'steps are missing or repeated',
    );
    assert.ok(after.length > before.length);
    const { step, totalSteps } = await summariseRun(run);
    assert.equal(step, totalSteps);
  });

  it('tells the caller why a run cannot start, in one line', async () => {
    const call = vscode.commands.executeCommand('clipself.fineTune', request({ batch: 4096 }));
    await assert.rejects(Promise.resolve(call), /images to train on .* do not fill one batch of 4096/);
  });

  it('speaks of settings, and of a preset that has its own', async () => {
    const images = await mkdtemp(path.join(tmpdir(), 'clipself-few-'));
    const whole = request({});
    const few = (await readdir(whole.images)).slice(0, 8);
    for (const name of few) await copyFile(path.join(whole.images, name), path.join(images, name));
    try {
      const call = vscode.commands.executeCommand('clipself.fineTune', { ...whole, images });
      await assert.rejects(Promise.resolve(call), {
        message:
          'clipself.training.holdOut 8 leaves none of the 8 images to train on: add images or lower it. ' +
          'The preset “Demo” has its own holdOut: take “From settings” to choose.',
      });
    } finally {
      await rm(images, { recursive: true });
    }
  });
});
