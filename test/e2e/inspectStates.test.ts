import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Frame, Locator } from 'playwright-core';
import { repositoryRoot, skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SampleWorkspace, sampleWorkspace } from '../support/sampleWorkspace.ts';
import { chooseFromMenu, rowOf } from './support/contextMenu.ts';
import {
  columnPicture,
  heldMapValues,
  holdMapValues,
  PATIENCE,
  releaseMapValues,
  settled,
  until,
} from './support/inspectorFrame.ts';
import { openWorkbench, type Theme, type Workbench } from './support/workbench.ts';

describe('ways in and states of the inspector', function () {
  this.timeout(2 * PATIENCE);
  let workspace: SampleWorkspace;
  let workbench: Workbench;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await sampleWorkspace(4);
    await cp(join(repositoryRoot, 'test/fixtures/resnet'), join(workspace.path, 'resnet'), {
      recursive: true,
    });
    await writeFile(join(workspace.images, 'torn.jpg'), 'no picture at all');
    workbench = await openWorkbench({
      workspaceFolder: workspace.path,
      settings: {
        'window.commandCenter': false,
        'workbench.layoutControl.enabled': false,
        'clipself.inspector.size': 4096,
      },
    });
    await workbench.page.setViewportSize({ width: 1400, height: 1000 });
    await rowOf(workbench.page, 'images').click();
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await keepPicture(`failed-${this.currentTest.title.slice(0, 30)}`);
  });

  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
  });

  const panel = (): Promise<Frame> => workbench.webviewFrame('.inspector-toolbar');
  const factsOf = (frame: Frame): Promise<string[]> => frame.locator('.column .facts-line').allInnerTexts();
  const columnAt = (frame: Frame, index: number): Locator => frame.locator('.column').nth(index);

  const inspectFromExplorer = (name: string, rows: readonly string[] = []): Promise<void> =>
    chooseFromMenu(workbench.page, name, 'Inspect Dense Features', rows);

  async function keepPicture(name: string): Promise<void> {
    await workbench.keepPicture(`${name}.png`);
  }

  async function showView(view: string): Promise<Frame> {
    const frame = await panel();
    await frame.locator(`[role="tab"][data-view="${view}"]`).click();
    await settled(frame);
    return frame;
  }

  it('is an editor that an image is reopened with, and offers a smaller size where the memory does not do', async () => {
    await rowOf(workbench.page, 'scene-01.jpg').dblclick();
    await workbench.page.locator('.tab.active', { hasText: 'scene-01.jpg' }).waitFor();
    await workbench.runCommand('Reopen Editor With...');
    await workbench.pick('CLIPSelf Dense Features');
    const frame = await panel();
    await frame.getByText('Choose a model to see what every patch').waitFor();
    await frame.getByText('Use the demo model').click();
    // The size of the settings is beyond any memory.
    await frame.getByText('At 4096 px this takes about').waitFor();
    await keepPicture('memory');
    const offer = await frame.locator('.status-actions').innerText();
    assert.match(offer, /Use [123]?\d{3} px/);
    await columnAt(frame, 0).locator('label', { hasText: 'Size' }).locator('select').selectOption('448');
    await settled(frame);
    await until('the map', async () => /clusters over/.test((await factsOf(frame))[0]!));
    await keepPicture('reopened');
    await workbench.runCommand('Close All Editors');
  });

  it('shows several images that were selected, one at a time', async () => {
    await inspectFromExplorer('scene-02.jpg', ['scene-01.jpg', 'scene-02.jpg', 'scene-03.jpg']);
    const frame = await panel();
    await settled(frame);
    const images = frame.locator('label', { hasText: /^Image/ }).locator('select');
    const names = await images.locator('option').allInnerTexts();
    assert.deepEqual(names, ['scene-01.jpg', 'scene-02.jpg', 'scene-03.jpg']);
    const before = await columnPicture(frame);
    await images.selectOption('2');
    await settled(frame);
    assert.notEqual(await columnPicture(frame), before, 'the other image looks the same');
    await keepPicture('several');
  });

  it('separates the groups of its bar where they share a line, and nowhere else', async () => {
    const frame = await showView('kMeans');
    const separators = (): Promise<number> =>
      frame.evaluate(() => {
        const groups = [...document.querySelectorAll('.toolbar-groups > *')];
        return groups.filter(group => group.getBoundingClientRect().left > 0).length;
      });
    for (const [width, shared] of [
      [1900, 1],
      [1100, 0],
    ] as const) {
      await workbench.page.setViewportSize({ width, height: 1000 });
      await until(`${shared} separators at ${width} px`, async () => (await separators()) === shared);
      await keepPicture(`bar-${width}`);
    }
    await workbench.page.setViewportSize({ width: 1400, height: 1000 });
  });

  it('sets a ResNet beside a transformer, and says where their grids cannot be compared', async () => {
    const frame = await showView('kMeans');
    await frame.getByText('Compare', { exact: true }).click();
    const models = columnAt(frame, 1).locator('label.model-field select');
    const resnet = await until('the ResNet among the models', () =>
      models.locator('option', { hasText: 'resnet' }).first().getAttribute('value'),
    );
    await models.selectOption(resnet);
    await settled(frame);
    const facts = await until('both maps', async () => {
      const texts = await factsOf(frame);
      return texts.length === 2 && texts.every(text => text.includes('clusters over')) ? texts : null;
    });
    assert.notEqual(facts[0]!.split('·')[0], facts[1]!.split('·')[0], 'both have the same grid');
    await keepPicture('resnet-kmeans');
    await frame.getByText('Difference', { exact: true }).click();
    await frame.getByText('A difference needs equal grids').waitFor();
    await frame.getByText('Difference', { exact: true }).click();
    for (const view of ['norms', 'attention']) {
      await showView(view);
      await frame.getByText('Choose a vision transformer').first().waitFor();
      await keepPicture(`resnet-${view}`);
    }
    await showView('kMeans');
  });

  it('shows the difference of two read-outs', async () => {
    const frame = await panel();
    const second = columnAt(frame, 1);
    await second.locator('label.model-field select').selectOption('demo');
    await settled(frame);
    await second.locator('label', { hasText: 'Read-out' }).locator('select').selectOption('tokens');
    await settled(frame);
    const before = await columnPicture(frame, 1);
    await frame.getByText('Difference', { exact: true }).click();
    await until('the distances', async () => /cosine distance to the first/.test((await factsOf(frame))[1]!));
    assert.notEqual(await columnPicture(frame, 1), before);
    await keepPicture('difference');
    await frame.getByText('Difference', { exact: true }).click();
  });

  it('shows the difference once the values of its maps are there, when it is switched on before', async () => {
    const frame = await panel();
    const second = columnAt(frame, 1);
    await holdMapValues(frame);
    await second.locator('label', { hasText: 'Read-out' }).locator('select').selectOption('keyKey');
    await until('clusters before the values', async () => /clusters over/.test((await factsOf(frame))[1]!));
    await until('the values', async () => (await heldMapValues(frame)) > 0);
    await frame.getByText('Difference', { exact: true }).click();
    await sleep(500);
    assert.doesNotMatch((await factsOf(frame))[1]!, /cosine distance/);
    assert.equal(await frame.locator('[role="alert"]:visible').count(), 0);
    await releaseMapValues(frame);
    await until('the distances', async () => /cosine distance to the first/.test((await factsOf(frame))[1]!));
    await frame.getByText('Difference', { exact: true }).click();
    await until('the clusters', async () => /clusters over/.test((await factsOf(frame))[1]!));
    await second.locator('[title="Remove column"]').click();
  });

  it('says that an image cannot be read', async () => {
    await inspectFromExplorer('torn.jpg');
    const frame = await until('the panel of the torn image', async () => {
      const found = await panel();
      return (await found.locator('.status [role="alert"]').count()) > 0 ? found : null;
    });
    const text = await frame.locator('.status [role="alert"]').first().innerText();
    assert.match(text, /torn\.jpg.*Choose another image/);
    await keepPicture('unreadable');
    await workbench.runCommand('Close Editor');
  });

  it('is worked by keys alone: every view, a patch, a pin', async () => {
    await rowOf(workbench.page, 'scene-01.jpg').click();
    await workbench.runCommand('Inspect Dense Features');
    const frame = await panel();
    await settled(frame);
    const { keyboard } = workbench.page;
    await frame.locator('[role="tab"][aria-selected="true"]').focus();
    const views = await frame.locator('[role="tab"]').count();
    const seen = new Set<string>();
    for (let step = 0; step < views; step++) {
      await keyboard.press('ArrowRight');
      await settled(frame);
      const selected = frame.locator('[role="tab"][aria-selected="true"]');
      seen.add((await selected.getAttribute('data-view'))!);
      assert.equal(await selected.evaluate(tab => tab === document.activeElement), true);
    }
    assert.equal(seen.size, views);
    await until('the view of similarity', async () => {
      await keyboard.press('ArrowRight');
      const view = await frame.locator('[role="tab"][aria-selected="true"]').getAttribute('data-view');
      return view === 'similarity';
    });
    // The canvas is reached by the tabulator.
    await until('the canvas by keys', async () => {
      await keyboard.press('Tab');
      return frame.evaluate(() => document.activeElement?.classList.contains('stage-canvas') ?? false);
    });
    for (const key of ['ArrowRight', 'ArrowDown', 'ArrowDown']) await keyboard.press(key);
    const readout = frame.locator('.readout').first();
    await until('the patch', async () => /row 3, column 1|row 3, column 2/i.test(await readout.innerText()));
    await keyboard.press('Enter');
    await until('the pin', async () => (await frame.getByText('Release pin', { exact: true }).count()) > 0);
    await keyboard.press('ArrowRight');
    assert.match((await factsOf(frame))[0]!, /query/);
    await keepPicture('keys');
  });

  it('has a name for everything in the tree that screen readers see', async () => {
    const frame = await panel();
    for (const view of ['kMeans', 'pca', 'patches', 'similarity', 'words', 'regions', 'norms', 'attention']) {
      await showView(view);
      const tree = await frame.locator('body').ariaSnapshot();
      assert.match(tree, /tablist "View"/);
      const nameless = tree
        .split('\n')
        .filter(line => /^\s*- (button|combobox|slider|checkbox|spinbutton|textbox|tab)(:| \[|$)/.test(line));
      assert.deepEqual(nameless, [], `${view}:\n${tree}`);
      assert.match(tree, /application "scene-01\.jpg/);
    }
  });

  for (const theme of ['highContrast', 'highContrastLight'] satisfies Theme[]) {
    it(`keeps its controls and texts visible in the theme ${theme}`, async () => {
      await workbench.setTheme(theme);
      const frame = await showView('kMeans');
      const className = {
        highContrast: 'vscode-high-contrast',
        highContrastLight: 'vscode-high-contrast-light',
      };
      const themed = (name: string) => frame.evaluate(own => document.body.classList.contains(own), name);
      await until('the theme', () => themed(className[theme]));
      const { ground, texts } = await frame.evaluate(() => ({
        ground: getComputedStyle(document.body).backgroundColor,
        texts: [...document.querySelectorAll<HTMLElement>('.tab, .facts-line, .readout, label, .cluster')]
          .filter(node => node.offsetParent !== null)
          .map(node => ({ text: node.innerText, colour: getComputedStyle(node).color })),
      }));
      assert.ok(texts.length > 10);
      const faint = texts.filter(({ colour }) => contrast(colour, ground) < 4.5);
      assert.deepEqual(faint, []);
      await keepPicture(theme);
    });
  }
});

/** Ratio of contrast of two colours of CSS, as the accessibility guidelines define it. */
function contrast(one: string, other: string): number {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter! + 0.05) / (darker! + 0.05);
}

function luminance(colour: string): number {
  const [red, green, blue] = (colour.match(/[\d.]+/g) ?? []).map(part => {
    const value = Number(part) / 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}
