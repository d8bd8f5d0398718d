import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Frame } from 'playwright-core';
import sharp from 'sharp';
import { repositoryRoot, skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { chooseFromMenu, rowOf } from './support/contextMenu.ts';
import { columnPicture, PATIENCE, settled, until } from './support/inspectorFrame.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

const IMAGE = 'scene-07.jpg';

describe('inspecting dense features in a real VS Code', function () {
  this.timeout(2 * PATIENCE);
  let workspace: SampleWorkspace;
  let workbench: Workbench;
  let terminal: TemporaryFolder;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await sampleWorkspace(8);
    terminal = await temporaryFolder();
    workbench = await openWorkbench({
      workspaceFolder: workspace.path,
      settings: {
        'window.commandCenter': false,
        'workbench.layoutControl.enabled': false,
        'clipself.inspector.size': 448,
      },
    });
  });

  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
    await terminal?.remove();
  });

  const panel = (): Promise<Frame> => workbench.webviewFrame('.inspector-toolbar');

  async function showView(view: string): Promise<Frame> {
    const frame = await panel();
    await frame.locator(`[role="tab"][data-view="${view}"]`).click();
    await frame.locator(`[role="tab"][data-view="${view}"][aria-selected="true"]`).waitFor();
    return frame;
  }

  it('opens from the context menu of an image and offers the demo model', async () => {
    await rowOf(workbench.page, 'images').click();
    await chooseFromMenu(workbench.page, IMAGE, 'Inspect Dense Features');
    const frame = await panel();
    await frame.getByText('Choose a model to see what every patch of this image knows.').waitFor();
    await frame.getByText('Use the demo model').click();
    await settled(frame);
    const title = workbench.page.locator('.tab.active .label-name');
    assert.equal(await title.innerText(), `Dense Features: ${IMAGE}`);
  });

  const seen = new Map<string, string>();

  for (const view of ['kMeans', 'pca', 'patches', 'norms', 'attention', 'regions'] as const) {
    it(`draws the view ${view}`, async () => {
      const frame = await showView(view);
      await settled(frame);
      seen.set(view, await columnPicture(frame));
      assert.equal(await frame.locator('[role="alert"]:visible').count(), 0);
    });
  }

  it('draws the similarity to the patch under the pointer, and another for another patch', async () => {
    const frame = await showView('similarity');
    await settled(frame);
    const canvas = frame.locator('.stage-canvas').first();
    const box = (await canvas.boundingBox())!;
    await canvas.hover({ position: { x: box.width * 0.35, y: box.height * 0.5 } });
    await sleep(300);
    const first = await columnPicture(frame);
    await canvas.hover({ position: { x: box.width * 0.6, y: box.height * 0.6 } });
    await sleep(300);
    const second = await columnPicture(frame);
    assert.notEqual(first, second);
    seen.set('similarity', second);
    await canvas.focus();
    await workbench.page.keyboard.press('ArrowRight');
    await sleep(300);
    assert.notEqual(await columnPicture(frame), second, 'the arrow keys do not move the patch');
  });

  it('shows something else in each view', () => {
    const views = ['kMeans', 'pca', 'norms', 'similarity'];
    assert.equal(new Set(views.map(view => seen.get(view))).size, views.length);
  });

  it('compares two read-outs of the same model side by side', async () => {
    const frame = await showView('kMeans');
    await frame.getByText('Compare', { exact: true }).click();
    const second = frame.locator('.column').nth(1);
    await second.locator('label', { hasText: 'Read-out' }).locator('select').selectOption('tokens');
    await settled(frame);
    await until('the second column', () => second.locator('.status').isHidden());
    const [left, right] = await until('two maps', async () => {
      const facts = await frame.locator('.column .facts-line').allInnerTexts();
      // A column that is at work says so first, and shows the picture before.
      return facts.length === 2 && facts.every(text => /^\d+ clusters over/.test(text)) ? facts : null;
    });
    assert.ok(left && right);
    const pictures = await frame.evaluate(() =>
      [...document.querySelectorAll<HTMLCanvasElement>('.stage-canvas')].map(canvas => canvas.toDataURL()),
    );
    assert.equal(new Set(pictures).size, 2, 'both columns show the same');
    await workbench.keepPicture('inspector-compare-dark.png');
    const file = await take(frame, 'Comparison with legends (PNG)', /^Saved (.+-comparison-kMeans\.png)$/);
    const { width, height } = pngSize(await readFile(file));
    const image = await sharp(join(workspace.images, IMAGE)).metadata();
    assert.ok(width > 2 * image.width && width < 2.1 * image.width, `${width} pixels are not two pictures`);
    assert.ok(height > image.height, 'the legends are missing');
    await rm(file);
    await second.locator('[title="Remove column"]').click();
    await second.waitFor({ state: 'detached' });
  });

  /** Takes something away from the first column; gives what the panel then says that matches. */
  async function take(frame: Frame, label: string, said: RegExp): Promise<string> {
    const toast = async (): Promise<string> => (await frame.locator('.toast').first().textContent()) ?? '';
    const before = await toast();
    await frame.locator('.menu summary').first().click();
    await frame.locator('.menu-items').first().getByText(label, { exact: true }).click();
    if (label !== 'Copy as command') {
      // The dialogue of a VS Code in the browser is a pick with the proposed path.
      await workbench.page.locator('.quick-input-widget:visible input.input').first().waitFor();
      await sleep(1000);
      await workbench.page.keyboard.press('Enter');
    }
    return until('what was done', async () => {
      const text = await toast();
      return text === before ? null : (said.exec(text)?.[1]?.trim() ?? null);
    });
  }

  /** Runs a copied line in a folder of its own, with another name for its last file; gives what it reports. */
  async function runClipself(line: string): Promise<Record<string, unknown> & { out: string }> {
    const clipself = `clipself() { ${process.execPath} ${repositoryRoot}dist/trainer/cli.js "$@"; }`;
    const script = `${clipself}; ${line} --out ${join(terminal.path, 'copied')} --json`;
    const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: terminal.path });
    return JSON.parse(stdout);
  }

  const factsOf = (frame: Frame): Promise<string> => frame.locator('.facts-line').first().innerText();

  it('hands out the picture, the numbers and the features as files', async () => {
    const frame = await showView('kMeans');
    for (const [label, ending, start] of [
      ['Picture (PNG)', '.png', '\x89PNG'],
      ['Numbers (CSV)', '.csv', ''],
      ['Features (.npy)', '.npy', '\x93NUMPY'],
    ] as const) {
      await showView('pca');
      await showView('kMeans');
      await settled(frame);
      const file = await take(frame, label, new RegExp(`^Saved (.+\\${ending})$`));
      assert.equal(dirname(file), workspace.images);
      const content = await readFile(file, 'latin1');
      assert.ok(content.startsWith(start) && content.length > 100, label);
      await rm(file);
    }
  });

  it('copies a command line that draws the same clusters in a terminal', async () => {
    const frame = await showView('kMeans');
    const line = await take(frame, 'Copy as command', /^Copied: (clipself .+)$/);
    const report = await runClipself(line);
    const shares = await frame.locator('.cluster-share').allInnerTexts();
    assert.deepEqual(
      (report.clusters as { share: number }[]).map(({ share }) => (100 * share).toFixed(1)),
      shares.map(text => Number.parseFloat(text).toFixed(1)),
    );
    assert.ok((await stat(report.out)).size > 1000);
  });

  it('compares the patches of a grid with the teacher, as a picture and as a table', async () => {
    const frame = await showView('patches');
    await settled(frame);
    await until('the cosines', async () => (await factsOf(frame)).includes('mean cosine'));
    await frame.getByText('Cosines as a table', { exact: true }).click();
    const cells = await frame.locator('.cosine-table td').allInnerTexts();
    assert.equal(cells.length, 16);
    assert.ok(cells.every(text => Math.abs(Number(text.replace('−', '-'))) <= 1));
    const line = await take(frame, 'Copy as command', /^Copied: (printf .+clipself .+)$/);
    const { cosines } = await runClipself(line);
    assertNear(cosines, cells);
  });

  it('reads regions by mask attention, which other views say they cannot', async () => {
    const frame = await showView('regions');
    const canvas = frame.locator('.stage-canvas').first();
    const box = (await canvas.boundingBox())!;
    for (const left of [0.35, 0.5]) {
      await canvas.hover({ position: { x: box.width * left, y: box.height * 0.5 } });
      await canvas.focus();
      await workbench.page.keyboard.press('b');
    }
    const cosinesOf = async () => {
      const texts = await frame.locator('.column table tbody tr').allInnerTexts();
      return texts.length === 2 && texts.every(text => /of 2/.test(text))
        ? texts.map(text => text.split('\t')[3]!)
        : null;
    };
    const pooled = await until('pooled cosines', cosinesOf);
    const readOut = frame.locator('.column label', { hasText: 'Read-out' }).locator('select').first();
    await readOut.selectOption('maskAttention');
    await settled(frame);
    const attended = await until('other cosines', async () => {
      const cosines = await cosinesOf();
      return cosines?.some((cosine, index) => cosine !== pooled[index]) ? cosines : null;
    });
    const line = await take(frame, 'Copy as command', /^Copied: (printf .+--read-out maskAttention .+)$/);
    const { cosines } = await runClipself(line);
    assertNear(cosines, attended);
    await showView('pca');
    await until(
      'the reason',
      async () => (await frame.getByText('Mask attention reads regions').count()) > 0,
    );
    await readOut.selectOption('value');
    await showView('regions');
    await frame.getByText('Clear', { exact: true }).click();
  });

  it('takes boxes and masks from COCO annotations, and draws and measures both', async () => {
    const file = join(workspace.path, 'annotations.json');
    const annotations = {
      images: [{ id: 1, file_name: IMAGE }],
      categories: [{ id: 1, name: 'shape' }],
      annotations: [
        { id: 1, image_id: 1, category_id: 1, bbox: [10, 10, 60, 60] },
        {
          id: 2,
          image_id: 1,
          category_id: 1,
          bbox: [10, 10, 60, 60],
          segmentation: [[10, 10, 70, 20, 30, 70]],
        },
      ],
    };
    await writeFile(file, JSON.stringify(annotations));
    const frame = await showView('regions');
    await settled(frame);
    const before = await columnPicture(frame);
    await frame.getByText('Load boxes or masks…', { exact: true }).click();
    const input = workbench.page.locator('.quick-input-widget:visible input.input').first();
    await input.waitFor();
    await sleep(1000);
    await input.fill(file);
    await sleep(1000);
    await workbench.page.keyboard.press('Enter');
    const rows = await until('both regions and their cosines', async () => {
      const texts = await frame.locator('.column table tbody tr').allInnerTexts();
      return texts.length === 2 && texts.every(text => /of 2/.test(text)) ? texts : null;
    });
    assert.doesNotMatch(rows[0]!, /mask/);
    assert.match(rows[1]!, /10, 10 – 70, 70, mask/);
    const cosines = rows.map(row => row.split('\t')[3]);
    assert.notEqual(cosines[0], cosines[1], 'the mask is pooled like its box');
    await settled(frame);
    assert.notEqual(await columnPicture(frame), before, 'nothing is drawn');
    await frame.getByText('Clear', { exact: true }).click();
    await rm(file);
  });

  it('comes back after a reload, with the view and the model it had', async () => {
    await showView('pca');
    await sleep(1000);
    await workbench.reload();
    const frame = await panel();
    await settled(frame);
    assert.equal(await frame.locator('[role="tab"][aria-selected="true"]').getAttribute('data-view'), 'pca');
  });

  it('follows a run that trains: its checkpoints come as steps, each with its own map', async () => {
    const frame = await showView('kMeans');
    const run = join(workspace.path, 'runs', 'first-run');
    const flags =
      '--size 64 --epochs 1 --batch 1 --hold-out 1 --checkpoint-every 2 --keep-checkpoints 9 --lr 1e-3';
    const trained = promisify(execFile)(process.execPath, [
      join(repositoryRoot, 'dist/trainer/cli.js'),
      ...['train', '--model', join(repositoryRoot, 'media/demo/model')],
      ...['--images', workspace.images, '--out', run, ...flags.split(' ')],
    ]);
    const model = frame.locator('.column label.model-field select').first();
    const option = model.locator('option', { hasText: 'first-run' }).first();
    await until('the run among the models', () => option.getAttribute('value'));
    await trained;
    // What the entry stands for changes once more, from the newest step to the student.
    await until('the choice of the run', async () => {
      const value = await option.getAttribute('value');
      return model.selectOption(value, { timeout: 1000 }).catch(() => null);
    });
    const slider = frame.locator('.column .step-slider input').first();
    await until('all checkpoints and the student', async () => (await slider.getAttribute('max')) === '4');
    const goTo = async (stop: string): Promise<string> => {
      await slider.fill(stop);
      await sleep(1500);
      await settled(frame);
      return columnPicture(frame);
    };
    const first = await goTo('0');
    const last = await goTo('4');
    assert.notEqual(first, last, 'training changes nothing in the picture');
    assert.equal(await goTo('0'), first);
    await workbench.keepPicture('inspector-step-dark.png');
    await model.selectOption('demo');
    await settled(frame);
  });

  it('says that the file is gone, and shows it again when it is back', async () => {
    const frame = await panel();
    const file = join(workspace.images, IMAGE);
    await rename(file, `${file}.away`);
    await until('the loss', async () => (await frame.getByText(`${IMAGE} is gone`).count()) > 0).catch(
      async error => {
        const text = await frame.locator('body').innerText();
        throw new Error(`${String(error)}; the panel says: ${text}`);
      },
    );
    await rename(`${file}.away`, file);
    await settled(frame);
  });

  it('looks right in dark and light', async () => {
    await workbench.page.setViewportSize({ width: 1400, height: 1000 });
    for (const theme of ['dark', 'light'] as const) {
      await workbench.setTheme(theme);
      for (const view of ['kMeans', 'pca', 'similarity'] as const) {
        const frame = await showView(view);
        await settled(frame);
        if (view === 'similarity') {
          const canvas = frame.locator('.stage-canvas').first();
          const box = (await canvas.boundingBox())!;
          await canvas.click({ position: { x: box.width * 0.365, y: box.height * 0.5 } });
          await sleep(300);
        }
        await sleep(500);
        await workbench.keepPicture(`inspector-${view.toLowerCase()}-${theme}.png`);
      }
    }
  });

  it('looks right in high contrast', async () => {
    await workbench.setTheme('highContrast');
    const frame = await showView('kMeans');
    await settled(frame);
    await sleep(500);
    const themed = await frame.evaluate(() => document.body.classList.contains('vscode-high-contrast'));
    assert.ok(themed, 'the panel does not know that the contrast is high');
    await workbench.keepPicture('inspector-kmeans-high-contrast.png');
  });
});

/** The panel pools float16 features and the command float32: both agree as far as the panel shows digits, nearly. */
function assertNear(cosines: unknown, shown: readonly string[]): void {
  assert.ok(Array.isArray(cosines) && cosines.length === shown.length);
  shown.forEach((text, index) => {
    assert.ok(
      Math.abs(Number(text.replace('−', '-')) - cosines[index]) < 3e-4,
      `${text} and ${cosines[index]}`,
    );
  });
}

/** Pixels of a PNG, from its header. */
function pngSize(bytes: Buffer): { width: number; height: number } {
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}
