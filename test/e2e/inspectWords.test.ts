import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Frame } from 'playwright-core';
import sharp from 'sharp';
import { writeNpy } from '../../trainer/checkpoints/npyFile.ts';
import { repositoryRoot, skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { writeTinyModel } from '../support/trainingFixture.ts';
import {
  columnPicture,
  heldMapValues,
  holdMapValues,
  PATIENCE,
  releaseMapValues,
  settled,
  until,
} from './support/inspectorFrame.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** A PNG: browsers and libvips decode it to the same pixels, which JPEG does not promise. */
const IMAGE = 'scene.png';
const WORDS = ['sky', 'grass', 'a red car', 'a face', 'a house', 'fruit'];

/** A number as the panel prints it. */
const numberOf = (text: string): number => Number(text.replace('−', '-'));

describe('words in the inspector', function () {
  this.timeout(2 * PATIENCE);
  let folder: TemporaryFolder;
  let workspace: string;
  let workbench: Workbench;

  before(async function () {
    skipWithoutBrowser(this);
    folder = await temporaryFolder();
    workspace = folder.file('scenes');
    await mkdir(workspace, { recursive: true });
    await sharp(join(repositoryRoot, 'media/demo/images/scene-07.jpg')).toFile(join(workspace, IMAGE));
    await writeTinyModel(join(workspace, 'blind'));
    workbench = await openWorkbench({
      workspaceFolder: workspace,
      settings: {
        'window.commandCenter': false,
        'workbench.layoutControl.enabled': false,
        'clipself.inspector.size': 224,
      },
    });
    await workbench.page.locator('.explorer-folders-view .monaco-list-row', { hasText: IMAGE }).click();
    await workbench.runCommand('Inspect Dense Features');
    const frame = await panel();
    await frame.getByText('Use the demo model').click();
    await settled(frame);
  });

  after(async () => {
    await workbench?.dispose();
    await folder?.remove();
  });

  const panel = (): Promise<Frame> => workbench.webviewFrame('.inspector-toolbar');

  async function showView(view: string): Promise<Frame> {
    const frame = await panel();
    await frame.locator(`[role="tab"][data-view="${view}"]`).click();
    await frame.locator(`[role="tab"][data-view="${view}"][aria-selected="true"]`).waitFor();
    return frame;
  }

  const field = (frame: Frame) => frame.getByLabel('Words', { exact: true });
  const legendTexts = (frame: Frame): Promise<string[]> =>
    frame.locator('.column-legend .cluster').allInnerTexts();
  const ranked = (frame: Frame): Promise<string[]> => frame.locator('.near-words li').allInnerTexts();
  const factsOf = (frame: Frame): Promise<string> => frame.locator('.facts-line').first().innerText();

  async function hover(frame: Frame, x: number, y: number): Promise<void> {
    const canvas = frame.locator('.stage-canvas').first();
    const box = (await canvas.boundingBox())!;
    await canvas.hover({ position: { x: box.width * x, y: box.height * y } });
    await sleep(200);
  }

  /** What the panel says once an entry of its export menu is done. */
  async function take(frame: Frame, label: string, said: RegExp): Promise<string> {
    const before = await frame.locator('.toast').textContent();
    await frame.locator('.menu summary').first().click();
    await frame.locator('.menu-items').first().getByText(label, { exact: true }).click();
    if (label !== 'Copy as command') {
      await workbench.page.locator('.quick-input-widget:visible input.input').first().waitFor();
      await sleep(1000);
      await workbench.page.keyboard.press('Enter');
    }
    return until('what was done', async () => {
      const text = (await frame.locator('.toast').textContent()) ?? '';
      return text === before ? null : (said.exec(text)?.[1] ?? null);
    });
  }

  /** The dialogue of a VS Code in the browser is a line for the path. */
  async function choose(file: string): Promise<void> {
    const input = workbench.page.locator('.quick-input-widget:visible input.input').first();
    await input.waitFor();
    await sleep(1000);
    await input.fill(file);
    await sleep(1000);
    await workbench.page.keyboard.press('Enter');
  }

  async function run(line: string, flags = ''): Promise<string> {
    const clipself = `clipself() { ${process.execPath} ${repositoryRoot}dist/trainer/cli.js "$@"; }`;
    const environment = { ...process.env, CLIPSELF_CACHE: folder.file('cache') };
    const options = { cwd: folder.path, env: environment };
    return (await promisify(execFile)('sh', ['-c', `${clipself}; ${line} ${flags}`], options)).stdout;
  }

  const pixelsOf = (file: string): Promise<Buffer> => sharp(file).removeAlpha().raw().toBuffer();

  it('says what to do while there are no words, and segments the image by those that are typed', async () => {
    const frame = await showView('words');
    await frame.locator('.column-legend').getByText('Type words').waitFor();
    await field(frame).fill(`${WORDS.slice(0, 3).join(', ')}\n${WORDS.slice(3).join('\n')}`);
    const texts = await until('all words', async () => {
      const found = await legendTexts(frame);
      return found.length === WORDS.length ? found : null;
    });
    const shares = texts.map(text => Number.parseFloat(/([\d.]+) %/.exec(text)![1]!));
    assert.deepEqual(
      texts.map(text => text.replace(/\s*[\d.]+ %/, '')),
      WORDS,
    );
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share) - 100) < 0.5);
  });

  it('ranks the words of the patch under the cursor, by pointer and by keys', async () => {
    const frame = await panel();
    await hover(frame, 0.5, 0.5);
    const first = await ranked(frame);
    assert.equal(first.length, 5);
    const cosines = first.map(text => numberOf(/−?[\d.]+$/.exec(text.trim())![0]));
    assert.deepEqual(
      cosines,
      [...cosines].sort((a, b) => b - a),
    );
    const canvas = frame.locator('.stage-canvas').first();
    await canvas.focus();
    const before = await frame.locator('.readout').first().innerText();
    for (let step = 0; step < 3; step++) await workbench.page.keyboard.press('ArrowDown');
    await sleep(200);
    const after = await frame.locator('.readout').first().innerText();
    assert.notEqual(after, before);
    const best = (await ranked(frame))[0]!.replace(/\s*-?[\d.]+$/, '');
    assert.ok(after.includes(`: ${best} `), `${after} does not begin with ${best}`);
  });

  it('shows the map of a word when it is pressed, and the segmentation again', async () => {
    const frame = await panel();
    const segmented = await columnPicture(frame);
    const word = frame.locator('.column-legend .cluster', { hasText: 'a face' });
    await word.focus();
    await workbench.page.keyboard.press('Enter');
    await until('the map', async () => (await factsOf(frame)).includes('cosine with “a face”'));
    await sleep(200);
    assert.notEqual(await columnPicture(frame), segmented);
    assert.equal(await word.getAttribute('aria-pressed'), 'true');
    assert.ok(await word.evaluate(button => button === document.activeElement), 'the focus is lost');
    await workbench.page.keyboard.press('Enter');
    await until('the segmentation', async () => (await factsOf(frame)).includes('softmax at 0.01'));
  });

  it('mixes the colours by the temperature', async () => {
    const frame = await panel();
    const slider = frame.locator('[data-control="temperature"] input');
    const pictures = new Set<string>();
    for (const stop of ['0', '6', '3']) {
      await slider.fill(stop);
      await sleep(300);
      pictures.add(await columnPicture(frame));
    }
    assert.equal(pictures.size, 3);
  });

  it('draws in a terminal what the panel shows, segments and the map of a word', async () => {
    const frame = await panel();
    for (const shown of [null, 'grass']) {
      if (shown !== null) await frame.locator('.column-legend .cluster', { hasText: shown }).click();
      await settled(frame);
      const file = await take(frame, 'Picture (PNG)', /^Saved (.+-words\.png)$/);
      const line = await take(frame, 'Copy as command', /^Copied: (clipself words .+)$/);
      const out = folder.file('terminal.png');
      await run(line, `--out ${out}`);
      const [own, terminal] = [await pixelsOf(file), await pixelsOf(out)];
      assert.equal(own.length, terminal.length);
      let most = 0;
      let others = 0;
      own.forEach((value, index) => {
        const off = Math.abs(value - terminal[index]!);
        most = Math.max(most, off);
        if (off > 1) others++;
      });
      // Words are embedded in batches of other sizes: a last bit of a cosine may round to the next colour.
      assert.ok(others < own.length / 1000, `${others} of ${own.length} values differ, by up to ${most}`);
      await rm(file);
    }
    await frame.locator('.column-legend .cluster', { hasText: 'grass' }).click();
  });

  it('exports the cosines, and a picture with a legend of words', async () => {
    const frame = await panel();
    const table = await take(frame, 'Numbers (CSV)', /^Saved (.+\.csv)$/);
    const [header, ...rows] = (await readFile(table, 'utf8')).trimEnd().split('\r\n');
    assert.equal(header, `patch,row,column,x0,y0,x1,y1,word,${WORDS.join(',')}`);
    for (const row of rows) {
      const cells = row.split(',');
      const cosines = cells.slice(8).map(Number);
      assert.equal(cells[7], WORDS[cosines.indexOf(Math.max(...cosines))]);
    }
    const file = await take(frame, 'Picture with legend (PNG)', /^Saved (.+\.png)$/);
    const { height = 0 } = await sharp(file).metadata();
    const image = await sharp(join(workspace, IMAGE)).metadata();
    assert.ok(height > image.height + 40, 'the legend is missing');
    await rm(table);
    await rm(file);
  });

  it('names clusters as the terminal does', async () => {
    const frame = await showView('kMeans');
    await settled(frame);
    const names = await until('names', async () => {
      const found = await legendTexts(frame);
      const words = found.map(text => /^\d+ (.+?)\s*[\d.]+ %/.exec(text)?.[1] ?? '');
      return words.length === 6 && words.every(word => WORDS.includes(word)) ? words : null;
    });
    const line = await take(frame, 'Copy as command', /^Copied: (clipself kmeans .+)$/);
    const { clusters } = JSON.parse(await run(line, `--out ${folder.file('k.png')} --json`));
    assert.deepEqual(
      clusters.map(({ word }: { word: string }) => word),
      names,
    );
    const table = await take(frame, 'Numbers (CSV)', /^Saved (.+\.csv)$/);
    assert.match(await readFile(table, 'utf8'), /y1,cluster,share,word,cosine\r\n/);
    await rm(table);
  });

  it('draws clusters before the values of their map are there, and names them once they are', async () => {
    const frame = await showView('kMeans');
    await settled(frame);
    const sizes = frame.locator('label', { hasText: 'Size' }).locator('select');
    const before = await sizes.inputValue();
    await holdMapValues(frame);
    await sizes.selectOption('336');
    await until('the values', async () => (await heldMapValues(frame)) > 0);
    await until('clusters of the other map', async () => /clusters over.* 336 px/.test(await factsOf(frame)));
    for (const text of await legendTexts(frame)) assert.match(text, /^\d+\s+[\d.]+ %$/);
    await releaseMapValues(frame);
    await until('names', async () => {
      const words = (await legendTexts(frame)).map(text => /^\d+ (.+?)\s*[\d.]+ %/.exec(text)?.[1] ?? '');
      return words.length === 6 && words.every(word => WORDS.includes(word));
    });
    await sizes.selectOption(before);
    await settled(frame);
  });

  it('names regions by dense feature and by crop, against their labels', async () => {
    const annotations = {
      images: [{ id: 1, file_name: IMAGE }],
      categories: [
        { id: 1, name: 'sky' },
        { id: 2, name: 'kite' },
      ],
      annotations: [
        { id: 1, image_id: 1, category_id: 1, bbox: [10, 10, 120, 90] },
        { id: 2, image_id: 1, category_id: 2, bbox: [150, 120, 90, 100] },
      ],
    };
    const file = folder.file('annotations.json');
    await writeFile(file, JSON.stringify(annotations));
    const frame = await showView('regions');
    await frame.getByText('Load boxes or masks…', { exact: true }).click();
    await choose(file);
    await frame.getByText('Labels as words', { exact: true }).click();
    await until('the label among the words', async () =>
      (await field(frame).inputValue()).endsWith('fruit, kite'),
    );
    const rows = await until('names of both', async () => {
      const found = await frame.locator('.column table tbody tr').allInnerTexts();
      return found.length === 2 && found.every(row => /[✓✗]/.test(row.split('\t')[5] ?? '')) ? found : null;
    });
    await until('the summary', async () => /named as labelled: \d of 2/.test(await factsOf(frame)));
    await frame.getByRole('button', { name: 'Region 2', exact: true }).click();
    await frame.getByText('Region 2, labelled “kite”').waitFor();
    const lists = await frame.locator('.region-names ol').allInnerTexts();
    assert.equal(lists.length, 2);
    rows[1]!
      .split('\t')
      .slice(5, 7)
      .forEach((cell, side) => {
        const best = lists[side]!.trim()
          .split('\n')[0]!
          .replace(/\s*✓?.*$/, '')
          .trim();
        assert.ok(cell.replace(/^[✓✗] /, '').startsWith(best), `${cell} and ${best}`);
      });
    const line = await take(frame, 'Copy as command', /^Copied: (printf .+clipself regions .+)$/);
    const { words } = JSON.parse(await run(line, '--json'));
    const shown = lists.map(text => [...text.matchAll(/−?\d\.\d+/g)].map(([number]) => numberOf(number)));
    for (const [side, kind] of (['roi', 'crop'] as const).entries())
      words[1][kind].forEach(({ cosine }: { cosine: number }, rank: number) => {
        // The panel pools what it keeps, which is float16.
        assert.ok(Math.abs(cosine - shown[side]![rank]!) < 2e-3, `${cosine} and ${shown[side]![rank]}`);
      });
    await frame.getByText('Clear', { exact: true }).click();
  });

  it('says of a model without text tower what to do, and reads a file of embeddings instead', async () => {
    const frame = await showView('words');
    const model = frame.locator('.column label.model-field select').first();
    const option = model.locator('option', { hasText: 'blind' }).first();
    await until('the model', () => option.getAttribute('value'));
    await model.selectOption((await option.getAttribute('value'))!);
    await frame.locator('.view-problem').waitFor();
    const problem = await frame.locator('.view-problem').innerText();
    assert.match(problem, /no text tower.+Use a whole CLIP model/s);
    const file = folder.file('words.npy');
    const data = Float32Array.from({ length: (WORDS.length + 1) * 16 }, (_, index) => Math.sin(index));
    await writeNpy(file, { shape: [WORDS.length + 1, 16], data });
    await frame.getByText('Embeddings…', { exact: true }).click();
    await choose(file);
    await until('words of the file', async () => (await legendTexts(frame)).length === WORDS.length + 1);
    assert.equal(await frame.locator('.view-problem').count(), 0);
    await field(frame).fill('sky');
    await until('that the file does not fit', async () =>
      /holds 7 rows for 1 class/.test(await frame.locator('.view-problem').innerText()),
    );
    await field(frame).fill([...WORDS, 'kite'].join(', '));
    await until('the words of the file again', async () => (await legendTexts(frame)).length === 7);
    await frame.getByText('Without file', { exact: true }).click();
    await frame.locator('.view-problem').waitFor();
    await model.selectOption('demo');
    await until('the words again', async () => (await legendTexts(frame)).length === WORDS.length + 1);
  });

  it('keeps the words over a reload', async () => {
    await sleep(1000);
    await workbench.reload();
    const frame = await panel();
    await settled(frame);
    assert.equal(await field(frame).inputValue(), [...WORDS, 'kite'].join(', '));
    await until('the words', async () => (await legendTexts(frame)).length === WORDS.length + 1);
  });

  it('looks right in dark, light and high contrast', async () => {
    await workbench.page.setViewportSize({ width: 1400, height: 1000 });
    for (const theme of ['dark', 'light', 'highContrast'] as const) {
      await workbench.setTheme(theme);
      const frame = await showView('words');
      await settled(frame);
      await hover(frame, 0.5, 0.45);
      await sleep(500);
      if (theme !== 'highContrast') await workbench.keepPicture(`inspector-words-${theme}.png`);
      const isShown = await frame.locator('.near-words').first().isVisible();
      assert.ok(isShown, theme);
    }
  });
});
