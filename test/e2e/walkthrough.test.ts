import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { viewport } from './support/browser.ts';
import { colours, settled } from './support/inspectorFrame.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** Milliseconds that fine-tuning on the demo's scenes, with an evaluation after every epoch, may take on a slow machine. */
const patience = 300_000;

const pictureNames = { dark: 'dark', light: 'light', highContrast: 'high-contrast' } as const;

/** Milliseconds from the first click to the first picture of dense features. */
const firstPicture = 60_000;

describe('the walkthrough in a real VS Code', function () {
  this.timeout(2 * patience);
  let workspace: SampleWorkspace;
  let workbench: Workbench;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await sampleWorkspace(1);
    workbench = await openWorkbench({
      workspaceFolder: workspace.path,
      settings: {
        'window.commandCenter': false,
        'workbench.layoutControl.enabled': false,
        'workbench.startupEditor': 'none',
        'workbench.secondarySideBar.defaultVisibility': 'hidden',
      },
    });
  });
  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
  });

  const picture = async (name: string): Promise<void> => {
    await workbench.keepPicture(`${name}.png`);
  };

  /** Clicks a button of the walkthrough, which is opened when it is not in sight. */
  async function click(step: string, button: string): Promise<void> {
    const title = workbench.page.locator('.gettingStartedContainer .step-title', { hasText: step });
    if (!(await title.isVisible())) {
      await workbench.runCommand('Open Walkthrough...');
      await workbench.pick('Get Started with CLIPSelf');
    }
    await title.click();
    await workbench.page
      .locator('.gettingStartedContainer')
      .getByRole('button', { name: button, exact: true })
      .click({ timeout: 30_000 });
  }

  it('is offered, and lists its steps', async () => {
    await workbench.runCommand('Open Walkthrough...');
    await workbench.pick('Get Started with CLIPSelf');
    const steps = workbench.page.locator('.gettingStartedContainer .step-title');
    await steps.first().waitFor();
    await workbench.page.locator('.gettingStartedContainer iframe.webview.ready').first().waitFor();
    assert.deepEqual(
      (await steps.allInnerTexts()).map(text => text.trim()),
      [
        'Open the demo',
        'Look at dense features',
        'Fine-tune with CLIPSelf',
        'See what it changed',
        'Fine-tune your own model',
      ],
    );
    await picture('walkthrough');
  });

  it('shows dense features of the demo within a minute', async () => {
    const started = Date.now();
    await click('Look at dense features', 'Inspect the Demo Scenes');
    const inspector = await workbench.webviewFrame('.inspector-toolbar');
    await inspector.locator('[role="tab"][data-view="kMeans"][aria-selected="true"]').waitFor();
    await settled(inspector);
    assert.ok((await colours(inspector)) > 20, 'nothing is drawn');
    assert.ok(Date.now() - started < firstPicture);
    await picture('walkthrough-inspector');
  });

  it('fine-tunes on the scenes, and shows what that changed', async () => {
    await click('Fine-tune with CLIPSelf', 'Fine-tune on the Demo Scenes');
    const training = await workbench.webviewFrame('.run-header');
    await training.waitForSelector('.run-header [data-state="finished"]', {
      state: 'attached',
      timeout: patience,
    });
    await click('See what it changed', 'Open the Demo Evaluation');
    const evaluation = await workbench.webviewFrame('.evaluation-header');
    const stuff = evaluation.locator('[data-number="maskpool.stuff.macc1"]');
    await stuff.waitFor();
    const shown = (await stuff.innerText()).replace(/\s+/g, ' ');
    const [after, , before] = (shown.match(/[\d.]+/g) ?? []).map(Number);
    assert.ok(after! > before! + 20, `stuff named by masks: ${shown}`);
  });

  it('shows training and evaluation in dark, light and high contrast', async () => {
    const { page } = workbench;
    await workbench.hideNotifications();
    await page.locator('.activitybar li[aria-label^="CLIPSelf"]').click();
    await workbench.runCommand('Close Other Editors in Group');
    await page.setViewportSize({ width: 1400, height: 940 });
    await workbench.runCommand('Toggle Primary Side Bar Visibility');
    for (const [theme, tab] of [
      ['dark', 'overview'],
      ['light', 'classes'],
      ['highContrast', 'confusions'],
    ] as const) {
      await workbench.setTheme(theme);
      const frame = await workbench.webviewFrame('.evaluation-header');
      await frame.locator(`[role="tab"][data-tab="${tab}"]`).click();
      if (tab === 'classes') {
        await frame.locator('.grid-body .grid-row').first().click();
      }
      if (tab !== 'overview') await frame.locator('.region-card img').first().waitFor();
      await steady(`evaluation-${pictureNames[theme]}`);
    }
    await workbench.runCommand('Toggle Primary Side Bar Visibility');
    const tab = await page.locator('.tab', { hasText: 'Evaluation: ' }).innerText();
    await workbench.runCommand('Open Training Panel');
    await workbench.pick(/Evaluation: (\S+)/.exec(tab)![1]!);
    const frame = await workbench.webviewFrame('.run-header');
    await workbench.runCommand('Close Other Editors in Group');
    await page.setViewportSize({ width: 1400, height: 1240 });
    assert.equal(await frame.locator('.numbers td').count(), 12);
    for (const theme of ['dark', 'light', 'highContrast'] as const) {
      await workbench.setTheme(theme);
      await steady(`training-${pictureNames[theme]}`);
    }
    await workbench.setTheme('dark');
    await page.setViewportSize(viewport);
  });

  /** Keeps a picture of the window when its documents have drawn what they have, and nothing is pointed at. */
  async function steady(name: string): Promise<void> {
    const { page } = workbench;
    const { width, height } = page.viewportSize()!;
    await page.mouse.move(width / 2, height - 8);
    await sleep(1000);
    await picture(name);
  }

  it('opens the demo as a workspace that keeps what is made there, and opens it again', async () => {
    const { page } = workbench;
    for (const note of ['first.txt', 'second.txt']) {
      const [window] = await Promise.all([
        page.context().waitForEvent('page'),
        click('Open the demo', 'Open the Demo'),
      ]);
      await window.locator('.explorer-folders-view .monaco-list-row', { hasText: 'scenes' }).waitFor();
      const folder = new URL(window.url()).searchParams.get('folder')!;
      assert.equal(path.basename(folder), 'demo');
      await window
        .locator('.gettingStartedContainer .step-title', { hasText: 'Open the demo' })
        .waitFor({ timeout: 60_000 });
      await writeFile(path.join(folder, note), 'mine');
      assert.deepEqual(
        (await readdir(folder)).filter(name => name.endsWith('.txt')),
        note === 'first.txt' ? ['first.txt'] : ['first.txt', 'second.txt'],
      );
      await window.close();
    }
  });
});
