import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { serverMain, serverNode, skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { packageExtension } from '../support/packagedExtension.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { chooseFromMenu, rowOf } from './support/contextMenu.ts';
import { colours, settled, until } from './support/inspectorFrame.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** Milliseconds that packaging, or the first steps of a run, may take on a slow machine. */
const patience = 180_000;

describe('the extension installed from its VSIX', function () {
  this.timeout(2 * patience);
  let folder: TemporaryFolder;
  let workspace: SampleWorkspace;
  let workbench: Workbench;

  before(async function () {
    skipWithoutBrowser(this);
    folder = await temporaryFolder();
    workspace = await sampleWorkspace();
    await packageExtension(folder.file('clipself-lab.vsix'));
  });
  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
    await folder?.remove();
  });

  it('installs with --install-extension', async () => {
    const extensionsFolder = folder.file('extensions');
    const { stdout } = await promisify(execFile)(
      serverNode,
      [
        ...[
          serverMain,
          '--accept-server-license-terms',
          '--install-extension',
          folder.file('clipself-lab.vsix'),
        ],
        ...['--extensions-dir', extensionsFolder, '--server-data-dir', folder.file('server')],
      ],
      { env: { ...process.env, EXTENSIONS_GALLERY: '{}' } },
    );
    assert.match(stdout, /successfully installed/);
    const installed = (await readdir(extensionsFolder)).filter(name => name.startsWith('clipself-lab.'));
    assert.equal(installed.length, 1);
    workbench = await openWorkbench({ workspaceFolder: workspace.path, extensionsFolder });
  });

  it('inspects dense features with the model it ships', async () => {
    await rowOf(workbench.page, 'images').click();
    await chooseFromMenu(workbench.page, 'scene-07.jpg', 'Inspect Dense Features');
    const inspector = await workbench.webviewFrame('.inspector-toolbar');
    await inspector.getByText('Use the demo model').click();
    await settled(inspector);
    assert.ok((await colours(inspector)) > 20, 'nothing is drawn');
    await workbench.keepPicture('installed-inspector.png');
  });

  it('fine-tunes', async () => {
    await workbench.runCommand('Fine-tune CLIPSelf');
    await workbench.pick('Demo model (tiny)');
    await workbench.pick('images');
    await workbench.pick('Demo');
    const panel = await workbench.webviewFrame('.run-header');
    const facts = panel.locator('.facts dd').first();
    await until('steps', async () => Number(/^\s*(\d+)/.exec(await facts.innerText())?.[1] ?? 0) > 5);
    await workbench.keepPicture('installed-training.png');
    const [run] = await readdir(join(workspace.path, 'runs'));
    const { steps } = await readMetricHistory(join(workspace.path, 'runs', run!, 'metrics.jsonl'));
    assert.ok(steps.length > 5 && steps.every(({ loss }) => loss > 0 && loss < 2));
  });
});
