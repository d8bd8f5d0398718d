import assert from 'node:assert/strict';
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Frame } from 'playwright-core';
import sharp from 'sharp';
import { readRun } from '../../trainer/compare/comparedRun.ts';
import { compareRuns } from '../../trainer/compare/compareRuns.ts';
import { latexTable } from '../../trainer/compare/comparisonTables.ts';
import { skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type ComparedWorkspace, comparedWorkspace } from '../support/comparedWorkspace.ts';
import { waitForSteps } from '../support/trainingFixture.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** Milliseconds that an answer may take on a slow machine. */
const PATIENCE = 90_000;

describe('comparing runs in a real VS Code', function () {
  this.timeout(4 * PATIENCE);
  let workspace: ComparedWorkspace;
  let workbench: Workbench;
  let long: ReturnType<ComparedWorkspace['startLong']> | null = null;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await comparedWorkspace();
    workbench = await openWorkbench({
      workspaceFolder: workspace.path,
      settings: {
        'window.commandCenter': false,
        'workbench.layoutControl.enabled': false,
        'workbench.startupEditor': 'none',
        'files.simpleDialog.enable': true,
        'clipself.inspector.size': 288,
      },
    });
    await workbench.page.setViewportSize({ width: 1500, height: 1000 });
  });

  after(async () => {
    await workbench?.dispose();
    long?.trainer.child.kill('SIGKILL');
    await long?.trainer.ended;
    await workspace?.remove();
  });

  const panel = (): Promise<Frame> => workbench.webviewFrame('.comparison-header');

  async function until<Result>(what: string, look: () => Promise<Result | null | false>): Promise<Result> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      const found = await look().catch(() => null);
      if (found) return found;
      await sleep(200);
    }
    throw new Error(`waited in vain for ${what}`);
  }

  const cellsOf = (frame: Frame, table: string, row: string): Promise<string[]> =>
    frame.locator(`.${table} tr[data-row="${row}"] td`).allInnerTexts();

  it('starts from the palette with several runs', async () => {
    await workbench.runCommand('Compare Runs');
    await workbench.pick('patches');
    await workbench.pick('fast_lr');
    await workbench.page.keyboard.press('Enter');
    const frame = await panel();
    await until('two runs', async () => (await frame.locator('.run-list .run').count()) === 2);
  });

  it('lists the settings that differ, and no other', async () => {
    const frame = await panel();
    await until('the settings', async () => (await frame.locator('.settings-card tbody tr').count()) > 0);
    const rows = await frame.locator('.settings-card tbody th').allInnerTexts();
    assert.deepEqual(rows.sort(), ['Learning rate', 'Retention']);
    const rates = await cellsOf(frame, 'settings-card', 'Learning rate');
    assert.deepEqual([...rates].sort(), ['0.002', '0.005']);
  });

  it('shows the twelve numbers with differences to the base that is chosen', async () => {
    const frame = await panel();
    const radios = frame.locator('.base-choice input');
    await radios.nth(1).check();
    const directories = await frame
      .locator('.run-list .run')
      .evaluateAll(items => items.map(item => item.getAttribute('data-run')!));
    const { numbers } = compareRuns(await Promise.all(directories.map(readRun)), 1);
    assert.equal(await frame.locator('.numbers-card tbody tr').count(), 12);
    const first = numbers[0]!;
    const points = (100 * first.differences[0]!).toFixed(1);
    const sign = Number(points) > 0 ? '+' : '';
    const shown = await until('differences', async () => {
      const [cell] = await cellsOf(frame, 'numbers-card', 'Boxes, things, top-1');
      return / [+−]?\d/.test(cell ?? '') ? cell! : null;
    });
    assert.equal(
      shown,
      `${(100 * first.values[0]!).toFixed(1)} ${sign}${points.replace('-', '−').replace('−0.0', '0.0')}`,
    );
  });

  it('draws curves of both runs on shared axes, told apart by more than colour', async () => {
    const frame = await panel();
    const loss = frame.locator('[data-metric="loss"]');
    await loss.locator('.curve-legend li').nth(1).waitFor();
    assert.equal(await loss.locator('.curve-legend li').count(), 2);
    const metrics = await frame
      .locator('.curve-card')
      .evaluateAll(cards => cards.map(card => (card as HTMLElement).dataset.metric));
    for (const metric of ['loss', 'lr', 'gradNorm', 'imagesPerSecond', 'heldOut.cosine', 'rois.thing.macc1'])
      assert.ok(metrics.includes(metric), metric);
    await loss.locator('canvas[role="slider"]').focus();
    await workbench.page.keyboard.press('Home');
    await until(
      'the cursor at the first step',
      async () => (await loss.locator('.chart-step').innerText()) === 'step 1',
    );
    // The cursor is shared.
    assert.equal(await frame.locator('[data-metric="gradNorm"] .chart-step').innerText(), 'step 1');
    await frame.locator('.title-line select').selectOption('epoch');
    await until('epochs', async () => /^epoch 0\.\d\d$/.test(await loss.locator('.chart-step').innerText()));
    await frame.locator('.title-line select').selectOption('step');
    await workbench.page.keyboard.press('Tab');
  });

  it('clusters the same image through both students', async () => {
    const frame = await panel();
    await until(
      'clusters',
      async () => (await frame.locator('.cluster-columns canvas[role="img"]').count()) === 2,
    );
    const label = await frame
      .locator('.cluster-columns canvas[role="img"]')
      .first()
      .getAttribute('aria-label');
    assert.match(label ?? '', /^Clusters of .+: [2-6] clusters$/);
  });

  it('is there again after a reload, with its base', async () => {
    await workbench.reload();
    const frame = await panel();
    await until('two runs', async () => (await frame.locator('.run-list .run').count()) === 2);
    assert.ok(await frame.locator('.base-choice input').nth(1).isChecked());
    await until(
      'curves',
      async () => (await frame.locator('[data-metric="loss"] .curve-legend li').count()) === 2,
    );
  });

  it('adds a run that is in training and follows it', async () => {
    long = workspace.startLong();
    assert.ok(await waitForSteps(long.trainer, long.directory), 'the run ended before its first step');
    await workbench.runCommand('Open Training Panel');
    await until('the live run’s panel', async () => workbench.webviewFrame('.run-header', 1000));
    await (await workbench.webviewFrame('.run-header')).locator('[data-command="compare"]').click();
    const frame = await panel();
    const facts = frame.locator(`[data-run="${long.directory}"] .run-facts`);
    const stepOf = async (): Promise<number> =>
      Number(/step ([\d,]+)/.exec(await facts.first().innerText())![1]!.replaceAll(',', ''));
    const before = await until('its first steps', async () => (await stepOf()) || null);
    await until('the next steps', async () => (await stepOf()) > before);
    assert.equal(await frame.locator('[data-metric="loss"] .curve-legend li').count(), 3);
  });

  it('says of a run that is gone that it is, and keeps the others', async () => {
    const frame = await panel();
    await rename(workspace.fast, `${workspace.fast}-away`);
    await frame.locator('.run-list .run-problem').waitFor({ timeout: PATIENCE });
    assert.match(await frame.locator('.run-list .run-problem').innerText(), /config\.json: cannot read/);
    assert.equal(await frame.locator('[data-metric="loss"] .curve-legend li').count(), 2);
    await rename(`${workspace.fast}-away`, workspace.fast);
    await frame.locator('.run-list .run-problem').waitFor({ state: 'detached', timeout: PATIENCE });
  });

  it('exports tables and a picture of the stated size', async () => {
    const frame = await panel();
    const choose = async (label: string, file: string): Promise<void> => {
      await frame.locator('.menu summary').click();
      await frame.locator('.menu-items vscode-button', { hasText: label }).click();
      // The dialogue fills in its proposal a little after it opens.
      const input = workbench.page.locator('.quick-input-widget:visible input[type="text"]').first();
      await until('the proposed name', async () => (await input.inputValue()).includes('comparison.'));
      await workbench.answer(file);
      await frame.locator('.toast', { hasText: file }).waitFor({ timeout: PATIENCE });
    };
    const png = join(workspace.path, 'charts.png');
    await choose('1600 × 1200', png);
    const { width, height } = await sharp(png).metadata();
    assert.deepEqual([width, height], [1600, 1200]);
    const tex = join(workspace.path, 'table.tex');
    await choose('.tex', tex);
    const directories = await frame
      .locator('.run-list .run')
      .evaluateAll(items => items.map(item => item.getAttribute('data-run')!));
    // The run in training may have been evaluated again meanwhile.
    const finished = (table: string): string[] => table.split('\n').filter(line => !line.startsWith('long'));
    assert.deepEqual(
      finished(await readFile(tex, 'utf8')),
      finished(latexTable(compareRuns(await Promise.all(directories.map(readRun)), 1))),
    );
    const csv = join(workspace.path, 'all.csv');
    await choose('CSV', csv);
    assert.match(
      await readFile(csv, 'utf8'),
      /^run,step,epoch,metric,value\r\npatches,|^run,step,epoch,metric,value\r\nfast_lr,/,
    );
    assert.match(await readFile(join(workspace.path, 'all.summary.csv'), 'utf8'), /^run,directory,problem,/);
  });

  it('looks right in dark, light and high contrast', async () => {
    await workbench.hideNotifications();
    await workbench.page.setViewportSize({ width: 1500, height: 2000 });
    for (const [theme, file] of [
      ['dark', 'comparison-dark.png'],
      ['light', 'comparison-light.png'],
      ['highContrast', 'comparison-high-contrast.png'],
    ] as const) {
      await workbench.setTheme(theme);
      const frame = await panel();
      await until('drawn canvases', () =>
        frame.evaluate(() =>
          [
            ...document.querySelectorAll<HTMLCanvasElement>(
              '.curve-card:not([hidden]) .plot:not([hidden]) canvas',
            ),
          ].every(canvas => {
            const pixels = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height).data;
            return pixels.some(value => value !== 0);
          }),
        ),
      );
      await until('nothing said and nothing awaited', () =>
        frame.evaluate(
          () =>
            document.querySelector<HTMLElement>('.toast')!.hidden &&
            document.querySelector<HTMLElement>('.k-means vscode-progress-ring')!.hidden,
        ),
      );
      await workbench.page.mouse.move(750, 1992);
      await sleep(200);
      await workbench.keepPicture(file);
    }
  });
});
