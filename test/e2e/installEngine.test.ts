import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

describe('installing the CUDA engine in a real VS Code without a network', function () {
  this.timeout(180_000);
  let data: TemporaryFolder;
  let workspace: SampleWorkspace;
  let workbench: Workbench;
  let storage: string;

  before(async function () {
    skipWithoutBrowser(this);
    data = await temporaryFolder();
    workspace = await sampleWorkspace();
    // An index where nobody answers: a machine without a network.
    const nowhere = { PIP_INDEX_URL: 'http://127.0.0.1:9/simple', PIP_RETRIES: '1' };
    // Whoever runs the tests may have one installed.
    const environment = { ...nowhere, XDG_DATA_HOME: data.file('data'), CLIPSELF_TENSORFLOW: '' };
    workbench = await openWorkbench({ workspaceFolder: workspace.path, environment });
    storage = join(workbench.dataFolder, 'data/User/globalStorage/clipself-lab.clipself-lab');
  });

  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
    await data?.remove();
  });

  const dialogue = () => workbench.page.locator('.monaco-dialog-box');
  const installed = async (): Promise<string[]> =>
    (await readdir(storage).catch(() => [])).filter(name => name.startsWith('tensorflow'));

  it('says what is fetched, from where and how large it is, and does nothing without a yes', async () => {
    await workbench.runCommand('Install CUDA Engine');
    await workbench.pick('TensorFlow for NVIDIA cards (CUDA)');
    await dialogue().waitFor();
    const text = await dialogue().innerText();
    assert.match(text, /Install TensorFlow for NVIDIA cards \(CUDA\)\?/);
    assert.match(text, /About 3\.40 GB to download, 6\.00 GB on the disk\./);
    assert.match(text, /NVIDIA’s licence/);
    assert.ok(text.includes(`To ${join(storage, 'tensorflow')}.`), text);
    await dialogue().getByText('Cancel', { exact: true }).click();
    await dialogue().waitFor({ state: 'hidden' });
    assert.deepEqual(await installed(), []);
  });

  it('tells in one error that there is no network, and leaves nothing', async () => {
    await workbench.runCommand('Install CUDA Engine');
    await workbench.pick('TensorFlow for the processor');
    await dialogue().getByText('Download and Install', { exact: true }).click();
    const error = await workbench.notification('could not reach its package index: check the network');
    assert.equal(await error.count(), 1);
    assert.deepEqual(await installed(), []);
  });
});
