import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Frame } from 'playwright-core';
import { runReportPath } from '../../trainer/evaluate/protocol.ts';
import { repositoryRoot, skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type EvaluatedWorkspace, evaluatedWorkspace } from '../support/evaluatedWorkspace.ts';
import { makeEvaluation, numberedClasses, writeEvaluation } from '../support/evaluationReports.ts';
import { chooseFromMenu, rowOf } from './support/contextMenu.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** Milliseconds that an answer may take on a slow machine. */
const PATIENCE = 60_000;

describe('looking at an evaluation in a real VS Code', function () {
  this.timeout(3 * PATIENCE);
  let workspace: EvaluatedWorkspace;
  let workbench: Workbench;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await evaluatedWorkspace();
    workbench = await openWorkbench({
      workspaceFolder: workspace.path,
      settings: { 'window.commandCenter': false, 'workbench.layoutControl.enabled': false },
    });
    await workbench.page.setViewportSize({ width: 1440, height: 900 });
  });

  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
  });

  const panel = (): Promise<Frame> => workbench.webviewFrame('.evaluation-header');

  async function until<Result>(what: string, look: () => Promise<Result | null | false>): Promise<Result> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      const found = await look().catch(() => null);
      if (found) return found;
      await sleep(200);
    }
    throw new Error(`waited in vain for ${what}`);
  }

  async function showTab(name: string): Promise<Frame> {
    const frame = await panel();
    await frame.locator(`[role="tab"][data-tab="${name}"]`).click();
    await frame.locator(`[role="tab"][data-tab="${name}"][aria-selected="true"]`).waitFor();
    return frame;
  }

  const number = async (frame: Frame, name: string): Promise<string> =>
    (await frame.locator(`[data-number="${name}"]`).innerText()).replace(/\s+/g, ' ');

  it('opens a run with before training as its baseline', async () => {
    await workbench.runCommand('Open Evaluation');
    await workbench.pick('patches');
    const frame = await panel();
    const shown = await until('the twelve numbers', async () => {
      const text = await number(frame, 'rois.thing.macc1');
      return /^\d+\.\d \+\d+\.\d from \d+\.\d$/.test(text) ? text : null;
    });
    const [after, change, before] = shown.match(/\d+\.\d/g)!.map(Number) as [number, number, number];
    assert.ok(Math.abs(after - before - change) < 0.11, shown);
    assert.equal(await frame.locator('.numbers td').count(), 12);
    await frame.getByText('Teacher’s crops').first().waitFor();
  });

  it('follows the run', async () => {
    const frame = await panel();
    const before = await number(frame, 'rois.thing.macc1');
    await workspace.evaluateNext(6);
    await until('the next epoch', async () => (await number(frame, 'rois.thing.macc1')) !== before);
    const latest = frame.locator('.header-line select').nth(1).locator('option:checked');
    await until('its name', async () => (await latest.innerText()) === 'latest (epoch 6) · patches');
  });

  it('is there again after a reload', async () => {
    const frame = await panel();
    const before = await number(frame, 'rois.thing.macc1');
    await workbench.reload();
    const again = await panel();
    await until('the same numbers', async () => (await number(again, 'rois.thing.macc1')) === before);
  });

  it('sorts and filters the classes', async () => {
    const frame = await showTab('classes');
    const names = (): Promise<string[]> => frame.locator('.grid-body .grid-cell.name').allInnerTexts();
    await frame.locator('.sort[data-column="name"]').click();
    assert.equal((await names())[0], 'apple');
    await frame.locator('.class-table vscode-text-field input').fill('b');
    await until('the filter', async () => (await names()).every(name => name.includes('b')));
    await frame.locator('.class-table vscode-text-field input').fill('');
    await frame.locator('.sort[data-column="change"]').click();
    const changes = (await frame.locator('.grid-body .grid-cell.change').allInnerTexts()).map(text =>
      Number(text.replace('−', '-')),
    );
    assert.deepEqual(
      changes,
      [...changes].sort((a, b) => b - a),
    );
    assert.ok(changes.length > 10);
  });

  it('shows the regions of a class as pictures', async () => {
    const frame = await showTab('classes');
    await frame.locator('.grid-body .grid-row', { hasText: 'person' }).click();
    await frame.locator('.region-card img').first().waitFor();
    const loaded = await until('a drawn picture', () =>
      frame.evaluate(() => document.querySelector<HTMLImageElement>('.region-card img')?.naturalWidth ?? 0),
    );
    assert.ok(loaded > 20);
    const count = await frame.locator('.regions-pane .pane-line .card-note').innerText();
    assert.match(count, /^\d+ regions$/);
    await frame.locator('.regions-pane select').selectOption('right');
    await until('only those named rightly', async () => {
      const verdicts = await frame.locator('.verdict').allInnerTexts();
      return verdicts.length > 0 && verdicts.every(verdict => verdict === '✓');
    });
  });

  it('shows the cell of the matrix under the pointer, and its regions on a click', async () => {
    const frame = await showTab('confusions');
    await frame.locator('.matrix-canvas').waitFor();
    await frame.locator('.confusion-list .link').first().click();
    await until('the regions of the mistake', async () =>
      / named /.test(await frame.locator('.regions-pane h2').innerText()),
    );
    await frame.locator('.region-card img').first().waitFor();
    const box = (await frame.locator('.matrix-scroller').boundingBox())!;
    await workbench.page.mouse.move(box.x + 200, box.y + 200, { steps: 3 });
    await until('the tooltip', async () =>
      /\d+ of \d+ regions/.test(await frame.locator('.matrix-tooltip').innerText()),
    );
    await frame.locator('.matrix-scroller').focus();
    await workbench.page.keyboard.press('Control+ArrowRight');
    await until('the spoken cell', async () =>
      /regions/.test(await frame.locator('.matrix [aria-live]').innerText()),
    );
  });

  it('shows the whole image with the region marked where no model can draw it', async () => {
    const frame = await panel();
    await frame.locator('.region-open').first().click();
    await frame.locator('dialog[open] .region-mark').waitFor();
    await workbench.page.keyboard.press('Escape');
  });

  it('looks right in dark, light and high contrast', async () => {
    await workbench.hideNotifications();
    await workbench.page.setViewportSize({ width: 1400, height: 940 });
    await workbench.runCommand('Toggle Primary Side Bar Visibility');
    for (const [tab, theme] of [
      ['overview', 'dark'],
      ['classes', 'light'],
      ['confusions', 'highContrast'],
    ] as const) {
      await workbench.setTheme(theme);
      const frame = await showTab(tab);
      if (tab === 'classes') {
        await frame.locator('.grid-body .grid-row', { hasText: 'person' }).click();
        await frame.locator('.region-card img').first().waitFor();
      }
      await sleep(1000);
      // Reports that a test made up: the documentation has pictures of a real evaluation.
      await workbench.keepPicture(`evaluation-made-up-${tab}.png`);
    }
    await workbench.runCommand('Toggle Primary Side Bar Visibility');
  });

  it('says what is missing', async () => {
    const report = join(workspace.first, runReportPath(6));
    await rename(report.replace('.json', '.regions.jsonl'), `${report}.away`);
    const frame = await showTab('classes');
    await frame.locator('.grid-body .grid-row').nth(3).click();
    await frame.locator('.pane-notice', { hasText: 'single regions cannot be shown' }).waitFor();
  });

  it('does not stall on 1,203 classes', async () => {
    const file = join(workspace.path, 'reports/lvis.report.json');
    const image = { name: 'scene-01.jpg', width: 640, height: 480 };
    const skill = { rois: 0.3, maskpool: 0.35, crops: 0.5 };
    const options = { seed: 5, classes: numberedClasses(1203), images: [image], regions: 12_000, skill };
    const model = join(repositoryRoot, 'media/demo/model');
    await writeEvaluation(file, makeEvaluation({ ...options, imageFolder: workspace.images, model }));
    await openFromExplorer('reports', 'lvis.report.json');
    const frame = await until('the panel of the report', async () => {
      const found = await panel();
      return (await found.locator('.source-facts', { hasText: '12,000' }).count()) > 0 ? found : null;
    });
    await showTab('classes');
    await frame.locator('.class-table .card-note', { hasText: 'classes' }).waitFor();
    const { rows, median } = await scrollThrough(frame, '.class-grid');
    assert.ok(rows < 120, `${rows} rows are in the document`);
    assert.ok(median < 150, `a frame of the table took ${median} ms`);
    await showTab('confusions');
    await frame.locator('.zoom vscode-button').nth(2).click();
    for (let step = 0; step < 8; step++) await frame.locator('.zoom vscode-button').nth(2).click();
    const matrix = await scrollThrough(frame, '.matrix-scroller');
    assert.ok(matrix.median < 150, `a frame of the matrix took ${matrix.median} ms`);
  });

  it('opens a region in the inspector, marked, where its model is there', async () => {
    const frame = await showTab('classes');
    await frame.locator('.class-grid').focus();
    await workbench.page.keyboard.press('Home');
    await workbench.page.keyboard.press('Enter');
    await frame.locator('.region-open').first().click();
    const inspector = await workbench.webviewFrame('.inspector-toolbar');
    await inspector.locator('[role="tab"][data-view="regions"][aria-selected="true"]').waitFor();
    const label = await inspector.locator('.column-legend td').first().innerText();
    const truth = await (await panel()).locator('.region-card strong').first().innerText();
    assert.equal(label, truth);
  });

  /** By the context menu of a file, as the explorer shows it. */
  async function openFromExplorer(folder: string, name: string): Promise<void> {
    await until('the file in the explorer', async () => {
      const row = rowOf(workbench.page, name);
      if (!(await row.isVisible())) await rowOf(workbench.page, folder).click({ timeout: 2000 });
      return row.isVisible();
    });
    await chooseFromMenu(workbench.page, name, 'Open Evaluation');
    await workbench.page.locator('.tab', { hasText: `Evaluation: ${join(folder, name)}` }).waitFor();
  }
});

/**
 * Scrolls from top to bottom in 40 frames; the median frame in milliseconds (a single one may wait for other programs), and
 * rows in the document. Text, because the compiler's helpers are not there in the panel.
 */
async function scrollThrough(frame: Frame, selector: string): Promise<{ rows: number; median: number }> {
  return frame.evaluate(`(async () => {
    const scroller = document.querySelector(${JSON.stringify(selector)});
    const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
    const frames = [];
    let last = await frame();
    for (let step = 1; step <= 40; step++) {
      scroller.scrollTop = (scroller.scrollHeight * step) / 40;
      const now = await frame();
      frames.push(now - last);
      last = now;
    }
    return { rows: document.querySelectorAll('.grid-body .grid-row').length, median: frames.sort((a, b) => a - b)[20] };
  })()`);
}
