/**
 * Times the inspector's panel in a real VS Code, from the event in the page to the painted frame, on photographs of
 * 1920 × 1080 pixels and models with random weights:
 *
 *     npm run bench:panel            views and settings that need no forward pass, on two sizes of map
 *     npm run bench:panel -- --first the first overlay of an image against the bare forward pass
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Frame } from 'playwright-core';
import sharp from 'sharp';
import { prepareBareForward } from '../bench/bareForward.ts';
import { repositoryRoot } from '../support/browserPrerequisites.ts';
import { type TowerOptions, vitB16, writeRandomModel } from '../support/randomModels.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { chooseFromMenu, rowOf } from './support/contextMenu.ts';
import { type Gesture, timeGesture } from './support/gestureTime.ts';
import { settled, until } from './support/inspectorFrame.ts';
import { processorTime } from './support/processorTime.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

/** Its map has the size that is asked for, and takes one cheap block. */
const shallow: TowerOptions = {
  ...{ embeddingDimension: 768, imageSize: 224, patchSize: 16, layers: 1, width: 64, headWidth: 64 },
};

const scenes = Array.from({ length: 7 }, (_, index) => `scene-0${index + 1}.jpg`);

const views = [
  ['pca', 'components explain'],
  ['patches', 'tokens hold image|mean cosine'],
  ['similarity', 'query'],
  ['norms', 'norm '],
  ['attention', 'attention of'],
  ['regions', 'region'],
  ['kMeans', 'clusters over'],
] as const;

const tabOf = (view: string, facts: string): Gesture => ({
  ...{ selector: `[role="tab"][data-view="${view}"]`, facts },
  value: null,
});

async function writeScenes(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of scenes)
    await sharp(join(repositoryRoot, 'media/demo/images', name))
      .resize(1920, 1080)
      .toFile(join(folder, name));
}

/** The list of images in the toolbar; hidden where there is one image alone. */
const imageSelect = '.tabs + .select-field select';

/** Between two looks at whether something is at work, and the processor time that it takes then; milliseconds. */
const [restInterval, restTime] = [250, 25];

/** Waits until what is prepared for the next step of the user is there, so that it does not weigh on what is timed. */
async function atRest(): Promise<void> {
  await until('rest', async () => {
    const before = await processorTime();
    await sleep(restInterval);
    const after = await processorTime();
    return after.service + after.others - before.service - before.others <= restTime;
  });
}

/** The panel with all scenes, seen through a model. */
async function openPanel(workbench: Workbench, model: string, size: number): Promise<Frame> {
  const { page } = workbench;
  if ((await page.locator('.tab', { hasText: 'Dense Features' }).count()) === 0) {
    await rowOf(page, 'images').click();
    await rowOf(page, scenes.at(-1)!).waitFor();
    await chooseFromMenu(page, scenes[1]!, 'Inspect Dense Features', scenes);
  }
  const frame = await workbench.webviewFrame('.inspector-toolbar');
  const images = await frame.locator(imageSelect).locator('option').count();
  if (images !== scenes.length) throw new Error(`the panel has ${images} images, not ${scenes.length}`);
  const models = frame.locator('.column label.model-field select');
  const value = await until('the model', () =>
    models.evaluate(
      (select, name) =>
        [...(select as HTMLSelectElement).options].find(option => option.value.includes(name))?.value ?? null,
      model,
    ),
  );
  await models.selectOption(value);
  await settled(frame);
  await frame.locator('label', { hasText: 'Size' }).locator('select').selectOption(String(size));
  await until('the map', async () => (await frame.locator('.facts-line').innerText()).includes(`${size} px`));
  await settled(frame);
  return frame;
}

function report(name: string, milliseconds: readonly number[]): number {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  const [first, last] = [median, sorted.at(-1)!].map(value => value.toFixed(0).padStart(4));
  console.log(`${name.padEnd(28)} median ${first} ms, largest ${last} ms, ${sorted.length} times`);
  return median;
}

async function repeat(count: number, measure: (index: number) => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) times.push(await measure(index));
  return times;
}

/** Pins a patch, so that the similarity view has something to show. */
async function pinPatch(frame: Frame): Promise<void> {
  await timeGesture(frame, tabOf('similarity', ''));
  const canvas = frame.locator('.stage-canvas').first();
  const box = (await canvas.boundingBox())!;
  await canvas.click({ position: { x: box.width * 0.4, y: box.height * 0.5 } });
  await settled(frame);
}

async function timeViews(frame: Frame): Promise<void> {
  await pinPatch(frame);
  for (const [view, facts] of views) {
    // Norms and attention take a forward pass when they are first looked at.
    await timeGesture(frame, tabOf(view, facts));
    await settled(frame);
  }
  for (const [view, facts] of views) {
    const [other, otherFacts] = view === 'pca' ? views.at(-1)! : views[0];
    const times = await repeat(5, async () => {
      await timeGesture(frame, tabOf(other, otherFacts));
      return timeGesture(frame, tabOf(view, facts));
    });
    report(`view ${view}`, times);
  }
}

async function timeSettings(frame: Frame): Promise<void> {
  const set =
    (selector: string, facts: string, legend = '') =>
    (values: readonly (string | null)[]) =>
      repeat(values.length, async index => {
        const value = values[index]!;
        const time = await timeGesture(frame, {
          selector,
          value,
          facts: facts.replace('#', value ?? ''),
          legend: legend.replace('#', String(Number(value) + 1)),
        });
        // A hand takes a moment between two settings.
        await sleep(400);
        return time;
      });
  await timeGesture(frame, tabOf('kMeans', 'clusters over'));
  await frame.locator('[data-control="k"] input').fill('16');
  await settled(frame);
  report(
    'K-Means, another k (7 to 13)',
    await set('[data-control="k"] input', '^# clusters')(['7', '8', '9', '10', '11', '12', '13']),
  );
  const opacities = ['0.3', '0.35', '0.4', '0.45', '0.5', '0.55', '0.6'];
  report('opacity', await set('[data-control="opacity"] input', '')(opacities));
  report('K-Means, smooth on and off', await set('[data-control="smooth"]', '')(Array(6).fill(null)));
  await timeGesture(frame, tabOf('pca', 'components explain'));
  report('PCA, smooth on and off', await set('[data-control="smooth"]', '')(Array(6).fill(null)));
  await settled(frame);
  report(
    'PCA, other components',
    await set(
      '.view-controls .select-field:nth-child(3) select',
      '',
      'Blue: PC #',
    )(['4', '5', '6', '3', '2']),
  );
  await timeGesture(frame, tabOf('similarity', 'query'));
  await frame.getByText('Release pin', { exact: true }).click();
  await frame.locator('.stage-canvas').first().focus();
  const move = (key: string) =>
    repeat(11, () => timeGesture(frame, { selector: '.stage-canvas', key, facts: 'query' }));
  await frame.locator('.stage-canvas').first().press('ArrowRight');
  report('similarity, one move', await move('ArrowRight'));
  await timeGesture(frame, { selector: '[data-control="smooth"]', value: null, facts: '' });
  report('similarity, one move, smooth', await move('ArrowDown'));
  await timeGesture(frame, { selector: '[data-control="smooth"]', value: null, facts: '' });
}

/** What the page is told while it waits for its first overlay, and when, in milliseconds from the choice of the image. */
type Mark = readonly [what: string, at: number];

const watchMessages = (frame: Frame): Promise<void> =>
  frame.evaluate(() => {
    const marks: Mark[] = [];
    Reflect.set(window, 'marks', marks);
    window.addEventListener('message', ({ data }) => {
      const what = [data?.kind, data?.stage ?? ''].join(' ').trim();
      if (marks.at(-1)?.[0] !== what || data?.kind === 'response')
        marks.push([what, performance.timeOrigin + performance.now()]);
    });
  });

/** Forgets the marks so far, or gives them. */
const takeMarks = (frame: Frame): Promise<Mark[]> =>
  frame.evaluate(() => (Reflect.get(window, 'marks') as Mark[]).splice(0));

/**
 * From choosing another image to its K-Means, service and model warm, nothing cached, in turns with the forward pass
 * alone, so that what else the machine does weighs on both alike.
 */
async function timeFirstOverlay(frame: Frame): Promise<void> {
  await timeGesture(frame, tabOf('kMeans', 'clusters over'));
  // The panel opens on the image that was clicked.
  await frame.locator(imageSelect).selectOption('0');
  await settled(frame);
  await watchMessages(frame);
  const bare = await prepareBareForward('ViT-B-16', 448);
  const [alone, aloneProcessor, forward, service, others]: number[][] = [[], [], [], [], []];
  const times = await repeat(scenes.length - 1, async index => {
    await atRest();
    const { wall, processor } = await bare.run();
    alone!.push(wall);
    aloneProcessor!.push(processor);
    await takeMarks(frame);
    const before = await processorTime();
    const time = await timeGesture(frame, {
      ...{ selector: imageSelect, value: String(index + 1) },
      ...{ facts: 'clusters over.*ms forward', label: `^${scenes[index + 1]}` },
    });
    const after = await processorTime();
    service!.push(after.service - before.service);
    others!.push(after.others - before.others);
    const marks = await takeMarks(frame);
    const told = marks.map(([what, at]) => `${what} ${(at - marks[0]![1]).toFixed(0)}`);
    console.log(`  ${time.toFixed(0)} ms, of these from the first message: ${told.join(', ')}`);
    const line = await frame.locator('.facts-line').first().innerText();
    forward!.push(Number(/(\d+) ms forward/.exec(line)![1]));
    return time;
  });
  await bare.dispose();
  const pass = report('forward pass alone', alone!);
  const overlay = report('first overlay', times);
  report('  its forward pass', forward!);
  const passProcessor = report('processor, pass alone', aloneProcessor!);
  const serviceProcessor = report('processor, service', service!);
  report('processor, window and host', others!);
  const pairs = times.map((time, index) => time / alone![index]!).sort((a, b) => a - b);
  const medianPair = pairs[Math.floor(pairs.length / 2)]!;
  console.log(
    `ratio of medians ${(overlay / pass).toFixed(2)}, median of the ratios ${medianPair.toFixed(2)}; processor time of the service ${(serviceProcessor / passProcessor).toFixed(2)} × the pass`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { first: { type: 'boolean', default: false } } });
  const folder = await temporaryFolder();
  const workspace = folder.file('workspace');
  let workbench: Workbench | null = null;
  try {
    await writeScenes(join(workspace, 'images'));
    await writeRandomModel(join(workspace, 'models/vit-b-16'), vitB16);
    await writeRandomModel(join(workspace, 'models/shallow'), shallow);
    workbench = await openWorkbench({
      workspaceFolder: workspace,
      settings: { 'workbench.secondarySideBar.defaultVisibility': 'hidden' },
    });
    await workbench.page.setViewportSize({ width: 1920, height: 1080 });
    if (values.first) {
      await timeFirstOverlay(await openPanel(workbench, 'vit-b-16', 448));
    } else {
      for (const [model, size, map] of [
        ['vit-b-16', 448, '28 × 28 × 512'],
        ['shallow', 1024, '64 × 64 × 768'],
      ] as const) {
        console.log(`\nmap of ${map}, image of 1920 × 1080 pixels`);
        const frame = await openPanel(workbench, model, size);
        await timeViews(frame);
        await timeSettings(frame);
      }
    }
  } finally {
    await workbench?.dispose();
    await folder.remove();
  }
}

await main();
