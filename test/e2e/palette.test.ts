import assert from 'node:assert/strict';
import { skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

describe('the command palette of a real VS Code', function () {
  this.timeout(120_000);
  let workspace: SampleWorkspace;
  let workbench: Workbench;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await sampleWorkspace();
    workbench = await openWorkbench({ workspaceFolder: workspace.path });
  });

  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
  });

  it('opens the choice of a model with "Fine-tune CLIPSelf"', async () => {
    await workbench.runCommand('Fine-tune CLIPSelf');
    assert.notEqual((await workbench.pickLabels()).length, 0);
  });
});
