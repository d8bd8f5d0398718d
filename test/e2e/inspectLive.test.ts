import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Frame } from 'playwright-core';
import { repositoryRoot, skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { columnPicture, settled, until } from './support/inspectorFrame.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

describe('inspecting a run while it trains, in a real VS Code', function () {
  this.timeout(240_000);
  let workspace: SampleWorkspace;
  let workbench: Workbench;
  let trainer: ChildProcess | null = null;
  let run: string;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await sampleWorkspace(6);
    run = join(workspace.path, 'runs', 'live-run');
    trainer = train(workspace.images, run);
    workbench = await openWorkbench({
      workspaceFolder: workspace.path,
      settings: { 'window.commandCenter': false, 'workbench.layoutControl.enabled': false },
    });
    await workbench.page.setViewportSize({ width: 1500, height: 900 });
  });

  after(async () => {
    trainer?.kill('SIGKILL');
    await workbench?.dispose();
    await workspace?.remove();
  });

  const panel = (): Promise<Frame> => workbench.webviewFrame('.inspector-toolbar');

  const stepOf = async (frame: Frame, column: number): Promise<string> =>
    frame.locator('.column').nth(column).locator('.step-slider output').innerText();

  /** Pictures and steps of both columns, as they are now. */
  const look = async (frame: Frame) => ({
    newest: { step: await stepOf(frame, 0), picture: await columnPicture(frame, 0) },
    student: { step: await stepOf(frame, 1), picture: await columnPicture(frame, 1) },
  });

  it('opens one column on its newest checkpoint and one on its student', async () => {
    await until('a student and checkpoints', () => stat(join(run, 'student.safetensors')));
    await workbench.page.locator('.explorer-folders-view .monaco-list-row', { hasText: 'images' }).click();
    const file = workbench.page.locator('.explorer-folders-view .monaco-list-row', { hasText: 'scene-02' });
    await file.first().click();
    // The command takes the image of the editor, which opens a moment after the click.
    await workbench.page.locator('.tab.active', { hasText: 'scene-02' }).waitFor();
    await workbench.runCommand('Inspect Dense Features');
    const frame = await panel();
    const model = frame.locator('.column label.model-field select').first();
    const value = await until('the run among the models', async () =>
      model.locator('option', { hasText: 'live-run' }).first().getAttribute('value'),
    );
    await model.selectOption(value);
    await frame.getByText('Compare', { exact: true }).click();
    await until('two columns', async () => (await frame.locator('.column').count()) === 2);
    // The last stop is the student, the one before it the newest checkpoint.
    const slider = frame.locator('.column').first().locator('.step-slider input');
    await until('the newest checkpoint', async () => {
      const stops = Number(await slider.getAttribute('max'));
      await slider.fill(String(stops - 1));
      return /^\d/.test(await stepOf(frame, 0));
    });
    await until('both pictures', async () => {
      const facts = await frame.locator('.column .facts-line').allInnerTexts();
      return facts.length === 2 && facts.every(text => text.includes('clusters over'));
    });
    assert.equal(await stepOf(frame, 1), 'student');
  });

  it('moves the first on and reads the second again, nobody touching the panel', async () => {
    const frame = await panel();
    const before = await look(frame);
    const seen = { steps: new Set([before.newest.step]), students: new Set([before.student.picture]) };
    await until('three checkpoints and three students', async () => {
      const { newest, student } = await look(frame);
      seen.steps.add(newest.step);
      seen.students.add(student.picture);
      return seen.steps.size >= 3 && seen.students.size >= 3;
    });
    await until('the map of another checkpoint', async () => {
      const { newest, student } = await look(frame);
      assert.equal(student.step, 'student');
      return newest.picture !== before.newest.picture;
    });
    await until('columns at rest', async () =>
      (await frame.locator('.column .facts-line').allInnerTexts()).every(text => /^\d+ clusters/.test(text)),
    );
    await workbench.keepPicture('inspector-live-dark.png');
  });

  /** What a column shows once nothing has changed for a while: files that were written last may still be on their way. */
  async function restingPicture(frame: Frame, column: number): Promise<string> {
    let last = await columnPicture(frame, column);
    for (let calm = 0; calm < 4; ) {
      await sleep(500);
      await settled(frame);
      const now = await columnPicture(frame, column);
      calm = now === last ? calm + 1 : 0;
      last = now;
    }
    return last;
  }

  it('ends at what the run saved last', async () => {
    const frame = await panel();
    // Wide enough for every line below the pictures, so that their sizes do not hang on how long the texts are.
    await workbench.page.setViewportSize({ width: 2200, height: 1000 });
    trainer!.kill('SIGINT');
    const [status] = await once(trainer!, 'exit');
    assert.equal(status, 0);
    const slider = frame.locator('.column').first().locator('.step-slider input');
    await until('the last checkpoint', async () => {
      const last = Number(await slider.getAttribute('max')) - 1;
      return (await slider.inputValue()) === String(last);
    });
    await settled(frame);
    const [left, right] = [await restingPicture(frame, 0), await restingPicture(frame, 1)];
    // Chosen anew, both give the pictures that following them led to.
    for (const [column, source] of [
      [0, 'newest'],
      [1, 'student'],
    ] as const) {
      const steps = frame.locator('.column').nth(column).locator('.step-slider input');
      const last = await steps.inputValue();
      await steps.fill('0');
      await settled(frame);
      await steps.fill(last);
      await settled(frame);
      assert.equal(await restingPicture(frame, column), [left, right][column], `${source}: another picture`);
    }
  });
});

/** A run that would take minutes, with a student and some checkpoints every second or so. */
function train(images: string, run: string): ChildProcess {
  const flags =
    '--size 64 --epochs 2000 --batch 1 --hold-out 1 --checkpoint-every 15 --keep-checkpoints 4 --lr 3e-4';
  return spawn(
    process.execPath,
    [
      join(repositoryRoot, 'dist/trainer/cli.js'),
      ...['train', '--model', join(repositoryRoot, 'media/demo/model')],
      ...['--images', images, '--out', run, '--threads', '1', ...flags.split(' ')],
    ],
    { stdio: 'ignore' },
  );
}
