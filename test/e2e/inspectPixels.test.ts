import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Frame } from 'playwright-core';
import sharp from 'sharp';
import { repositoryRoot, skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { PATIENCE, settled, until } from './support/inspectorFrame.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** A PNG: browsers and libvips decode it to the same pixels, which JPEG does not promise. */
const IMAGE = 'scene.png';

const views = ['kMeans', 'pca', 'similarity', 'norms', 'attention'] as const;

describe('the picture of the panel and of the command that it copies', function () {
  this.timeout(2 * PATIENCE);
  let folder: TemporaryFolder;
  let workspace: string;
  let workbench: Workbench;

  before(async function () {
    skipWithoutBrowser(this);
    folder = await temporaryFolder();
    workspace = folder.file('scenes');
    await mkdir(workspace, { recursive: true });
    await sharp(join(repositoryRoot, 'media/demo/images/scene-03.jpg')).toFile(join(workspace, IMAGE));
    workbench = await openWorkbench({
      workspaceFolder: workspace,
      settings: { 'clipself.inspector.size': 224 },
    });
    await workbench.page.locator('.explorer-folders-view .monaco-list-row', { hasText: IMAGE }).click();
    await workbench.runCommand('Inspect Dense Features');
    const frame = await workbench.webviewFrame('.inspector-toolbar');
    await frame.getByText('Use the demo model').click();
    await settled(frame);
  });

  after(async () => {
    await workbench?.dispose();
    await folder?.remove();
  });

  /** What the panel says once an entry of its export menu is done. */
  async function take(frame: Frame, label: string, said: RegExp): Promise<string> {
    await frame.locator('.menu summary').click();
    await frame.locator('.menu-items').getByText(label, { exact: true }).click();
    if (label !== 'Copy as command') {
      await workbench.page.locator('.quick-input-widget:visible input.input').first().waitFor();
      await sleep(1000);
      await workbench.page.keyboard.press('Enter');
    }
    return until('what was done', async () => {
      const text = (await frame.locator('.toast').textContent()) ?? '';
      return said.exec(text)?.[1] ?? null;
    });
  }

  const pixelsOf = (file: string): Promise<Buffer> => sharp(file).removeAlpha().raw().toBuffer();

  for (const smooth of [false, true])
    for (const view of views)
      it(`is the same for ${view}, ${smooth ? 'smooth' : 'patch by patch'}`, async () => {
        const frame = await workbench.webviewFrame('.inspector-toolbar');
        await frame.locator(`[role="tab"][data-view="${view}"]`).click();
        const box = frame.locator('[data-control="smooth"]');
        const isSmooth = await box.evaluate(element => (element as HTMLInputElement).checked);
        if (isSmooth !== smooth) await box.click();
        if (view === 'similarity' && !smooth)
          await frame.locator('.stage-canvas').click({ position: { x: 330, y: 280 } });
        await settled(frame);
        const file = await take(frame, 'Picture (PNG)', new RegExp(`^Saved (.+-${view}\\.png)$`));
        const line = await take(frame, 'Copy as command', /^Copied: (clipself .+)$/);
        const clipself = `clipself() { ${process.execPath} ${repositoryRoot}dist/trainer/cli.js "$@"; }`;
        const out = folder.file('terminal.png');
        await promisify(execFile)('sh', ['-c', `${clipself}; ${line} --out ${out}`]);
        const [panel, terminal] = [await pixelsOf(file), await pixelsOf(out)];
        // A file that is there would be asked about the next time.
        await rm(file);
        assert.equal(panel.length, terminal.length);
        const differing = panel.filter((value, index) => value !== terminal[index]).length;
        assert.equal(differing, 0, `${differing} of ${panel.length} bytes differ; ${line}`);
      });
});
