import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { PATIENCE, until } from './support/inspectorFrame.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

interface CocoFile {
  images: { file_name: string }[];
  annotations: { bbox: number[]; category_id: number }[];
  categories: { id: number; name: string }[];
}

describe('regions without labels in a real VS Code', function () {
  this.timeout(2 * PATIENCE);
  let workspace: SampleWorkspace;
  let workbench: Workbench;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await sampleWorkspace(3);
    await writeFile(join(workspace.path, 'classes.txt'), 'dog\ncar\ntree\n');
    workbench = await openWorkbench({ workspaceFolder: workspace.path });
  });

  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
  });

  /** What the command has written and opened. */
  async function written(kind: string): Promise<CocoFile> {
    const tab = workbench.page.locator('.tab .label-name', { hasText: `images-${kind}-` });
    await tab.waitFor({ timeout: PATIENCE });
    await workbench.keepPicture(`${kind}.png`);
    const file = join(
      workspace.path,
      'regions', // The ending is a label of its own.
      `${(await tab.innerText()).replace('.json', '')}.json`,
    );
    return JSON.parse(await readFile(file, 'utf8'));
  }

  const imagesOf = ({ images }: CocoFile): string[] => images.map(image => image.file_name).sort();

  it('proposes regions for a folder of the workspace', async () => {
    await workbench.runCommand('Propose Regions');
    await workbench.pick('images');
    const file = await written('proposals');
    assert.deepEqual(imagesOf(file), ['scene-01.jpg', 'scene-02.jpg', 'scene-03.jpg']);
    assert.ok(file.annotations.length > 30, `${file.annotations.length} regions`);
  });

  it('names regions by the words of a list', async () => {
    await workbench.runCommand('Name Regions by Words');
    await until('the question of the images', async () => (await workbench.pickLabels()).includes('images'));
    await workbench.pick('images');
    await workbench.pick('Demo model (tiny)');
    await workbench.pick('classes.txt');
    const file = await written('pairs');
    assert.deepEqual(imagesOf(file), ['scene-01.jpg', 'scene-02.jpg', 'scene-03.jpg']);
    assert.deepEqual(
      file.categories.map(category => category.name),
      ['dog', 'car', 'tree'],
    );
    const known = new Set(file.categories.map(category => category.id));
    assert.ok(file.annotations.length > 0);
    assert.ok(file.annotations.every(region => known.has(region.category_id)));
  });
});
