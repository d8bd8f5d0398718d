import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type HubServer, hollowWeights, startHubServer } from '../support/hubServer.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

const title = 'OpenAI CLIP RN50 (inference)';

describe('getting a model in a real VS Code', function () {
  this.timeout(180_000);
  let hub: HubServer;
  let workspace: SampleWorkspace;
  let workbench: Workbench;
  let models: string;

  before(async function () {
    skipWithoutBrowser(this);
    hub = await startHubServer();
    hub.files.set('timm/resnet50_clip.openai/open_clip_model.safetensors', hollowWeights());
    workspace = await sampleWorkspace();
    const environment = { HF_ENDPOINT: hub.address, HF_TOKEN: '' };
    workbench = await openWorkbench({ workspaceFolder: workspace.path, environment });
    models = join(workbench.dataFolder, 'data/User/globalStorage/clipself-lab.clipself-lab/models');
  });

  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
    await hub?.close();
  });

  const held = (): Promise<string[]> => readdir(join(models, 'RN50-openai')).catch(() => []);
  const dialogue = () => workbench.page.locator('.monaco-dialog-box');

  it('shows the licence first, and fetches nothing without a yes', async () => {
    await workbench.runCommand('Get a Model');
    await workbench.pick(title);
    await dialogue().waitFor();
    const text = await dialogue().innerText();
    assert.match(text, new RegExp(`Download ${title.replace(/[()]/g, '\\$&')}\\?`));
    assert.match(text, /Licence: MIT \(OpenAI's CLIP\)/);
    assert.match(text, /states: apache-2\.0/);
    await dialogue().getByText('Cancel', { exact: true }).click();
    await dialogue().waitFor({ state: 'hidden' });
    assert.deepEqual(await held(), []);
  });

  it('downloads it, and offers it to Fine-tune CLIPSelf', async () => {
    await workbench.runCommand('Get a Model');
    await workbench.pick(title);
    await dialogue().getByText('Agree and Download', { exact: true }).click();
    const deadline = Date.now() + 60_000;
    while (!(await held()).includes('open_clip_model.safetensors') && Date.now() < deadline) await sleep(200);
    const files = (await held()).sort();
    assert.deepEqual(files, ['open_clip_config.json', 'open_clip_model.safetensors']);
    await workbench.runCommand('Fine-tune CLIPSelf');
    const labels = await workbench.pickLabels();
    assert.ok(labels.includes('RN50-openai') && labels.includes('Get a model…'), labels.join());
    await workbench.page.keyboard.press('Escape');
  });
});
