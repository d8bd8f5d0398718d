import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Frame } from 'playwright-core';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { summariseRun } from '../../trainer/runs/runSummary.ts';
import { skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** Milliseconds that a run of the demo model may take on a slow machine. */
const PATIENCE = 180_000;

describe('fine-tuning in a real VS Code', function () {
  this.timeout(2 * PATIENCE);
  let workspace: SampleWorkspace;
  let workbench: Workbench;
  let run: string;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await sampleWorkspace();
    workbench = await openWorkbench({
      workspaceFolder: workspace.path,
      settings: {
        'window.commandCenter': false,
        'workbench.startupEditor': 'none',
        'workbench.secondarySideBar.defaultVisibility': 'hidden',
        'workbench.layoutControl.enabled': false,
      },
    });
  });

  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
  });

  async function until<Result>(what: string, look: () => Promise<Result | null | false>): Promise<Result> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      const found = await look();
      if (found) return found;
      await sleep(200);
    }
    throw new Error(`waited in vain for ${what}`);
  }

  const panel = (): Promise<Frame> => workbench.webviewFrame('.run-header');

  it('starts from the palette with three picks', async () => {
    await workbench.runCommand('Fine-tune CLIPSelf');
    await workbench.pick('Demo model (tiny)');
    await workbench.pick('images');
    await workbench.pick('Demo');
    const runs = join(workspace.path, 'runs');
    const name = await until('a run directory', async () => (await readdir(runs).catch(() => []))[0] ?? null);
    run = join(runs, name);
    assert.match(name, /^images-\d{8}-\d{6}$/);
  });

  it('shows the run live in the training panel', async () => {
    const frame = await panel();
    await frame.waitForFunction(
      () =>
        Number(/^\s*([\d,.]+)/.exec(document.querySelector('.facts dd')?.textContent ?? '')?.[1] ?? 0) > 3,
      undefined,
      { timeout: PATIENCE },
    );
    assert.equal(
      await frame.locator('.run-header [data-state]').first().getAttribute('data-state'),
      'running',
    );
    const rows = await frame.locator('.steps tbody tr').count();
    assert.ok(rows > 0, 'the table behind the charts is empty');
  });

  it('is still there, still training, after a reload of the window', async () => {
    const before = await summariseRun(run);
    await workbench.reload();
    const frame = await panel();
    await frame.waitForSelector('.steps tbody tr', { state: 'attached', timeout: PATIENCE });
    const after = await summariseRun(run);
    assert.ok(after.step >= before.step);
    assert.notEqual(after.state, 'interrupted');
  });

  it('ends with a falling loss and a higher cosine on held-out patches', async () => {
    const frame = await panel();
    await frame.waitForSelector('.run-header [data-state="finished"]', {
      state: 'attached',
      timeout: PATIENCE,
    });
    const history = await readMetricHistory(join(run, 'metrics.jsonl'));
    const losses = history.steps.map(({ loss }) => loss);
    const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    assert.ok(mean(losses.slice(-5)) < 0.6 * mean(losses.slice(0, 3)), `losses ${losses.join(' ')}`);
    const cosines = history.evaluations.map(record => record.eval['heldOut.cosine'] ?? Number.NaN);
    assert.ok(cosines.at(-1)! > cosines[0]! + 0.25, `cosines ${cosines.join(' ')}`);
    assert.ok((await stat(join(run, 'student.safetensors'))).size > 0);
    const table = await frame.locator('.table-summary').textContent();
    assert.match(table ?? '', /^Loss from 0\.\d+ at step 1 to 0\.\d+ at step/);
  });

  it('looks right in dark, light and high contrast', async () => {
    await workbench.hideNotifications();
    await workbench.page.locator('.activitybar li[aria-label^="CLIPSelf"]').click();
    await workbench.page.setViewportSize({ width: 1400, height: 1240 });
    for (const theme of ['dark', 'light', 'highContrast'] as const) {
      await workbench.setTheme(theme);
      const frame = await panel();
      // The patch grid is drawn over its image, the charts have curves: no canvas is blank.
      await until('drawn canvases', () =>
        frame.evaluate(() =>
          [...document.querySelectorAll('canvas')].every(canvas => {
            const pixels = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height).data;
            return pixels.some(value => value !== 0);
          }),
        ),
      );
      await sleep(500);
      await workbench.keepPicture(`training-patches-${theme}.png`);
    }
  });
});
