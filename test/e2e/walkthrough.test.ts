import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { colours, settled } from './support/inspectorFrame.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** Milliseconds that fine-tuning on the demo's scenes, with an evaluation after every epoch, may take on a slow machine. */
const patience = 300_000;

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
    await picture('walkthrough-training');
    await click('See what it changed', 'Open the Demo Evaluation');
    const evaluation = await workbench.webviewFrame('.evaluation-header');
    const stuff = evaluation.locator('[data-number="maskpool.stuff.macc1"]');
    await stuff.waitFor();
    const shown = (await stuff.innerText()).replace(/\s+/g, ' ');
    const [after, , before] = (shown.match(/[\d.]+/g) ?? []).map(Number);
    assert.ok(after! > before! + 20, `stuff named by masks: ${shown}`);
    await picture('walkthrough-evaluation');
  });

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
