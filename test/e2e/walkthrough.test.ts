import assert from 'node:assert/strict';
import { skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { colours, settled } from './support/inspectorFrame.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** Milliseconds from the first click to the first picture of dense features. */
const firstPicture = 60_000;

describe('the walkthrough in a real VS Code', function () {
  this.timeout(240_000);
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
    if (process.env.CLIPSELF_SCREENSHOTS)
      await workbench.screenshot(`${process.env.CLIPSELF_SCREENSHOTS}/walkthrough.png`);
  });

  it('shows dense features of the demo within a minute', async () => {
    const started = Date.now();
    await workbench.page.locator('.step-title', { hasText: 'Look at dense features' }).click();
    await workbench.page
      .locator('.gettingStartedContainer .monaco-button', { hasText: 'Inspect the Demo Scenes' })
      .click();
    const inspector = await workbench.webviewFrame('.inspector-toolbar');
    await inspector.locator('[role="tab"][data-view="kMeans"][aria-selected="true"]').waitFor();
    await settled(inspector);
    assert.ok((await colours(inspector)) > 20, 'nothing is drawn');
    assert.ok(Date.now() - started < firstPicture);
    if (process.env.CLIPSELF_SCREENSHOTS)
      await workbench.screenshot(`${process.env.CLIPSELF_SCREENSHOTS}/walkthrough-inspector.png`);
  });
});
