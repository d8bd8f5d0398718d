import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Frame } from 'playwright-core';
import { readSafetensors, writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { keyedRandom } from '../../trainer/random.ts';
import type { SegmentationReport } from '../../trainer/segment/protocol.ts';
import { repositoryRoot, skipWithoutBrowser } from '../support/browserPrerequisites.ts';
import { type SegmentedWorkspace, segmentedWorkspace } from '../support/segmentedWorkspace.ts';
import { startProcess, trainerProgram } from '../support/trainingFixture.ts';
import { chooseFromMenu } from './support/contextMenu.ts';
import { openWorkbench, type Workbench } from './support/workbench.ts';

const PATIENCE = 60_000;

describe('looking at a segmentation in a real VS Code', function () {
  this.timeout(4 * PATIENCE);
  let workspace: SegmentedWorkspace;
  let workbench: Workbench;
  let report: SegmentationReport;

  before(async function () {
    skipWithoutBrowser(this);
    workspace = await segmentedWorkspace(4);
    const model = path.join(repositoryRoot, 'media/demo/model');
    const other = await otherModel(model);
    const out = path.join(workspace.path, 'scenes-report.json');
    const ended = await startProcess(process.execPath, [
      ...[trainerProgram, 'segment', '--model', model, '--before', other, '--format', 'voc', '--out', out],
      ...['--images', workspace.images, '--labels', workspace.labels, '--classes', workspace.classes],
      ...['--overlays', path.join(workspace.path, 'overlays'), '--threads', '1'],
    ]).ended;
    assert.equal(ended.status, 0, ended.stderr);
    report = JSON.parse(await readFile(out, 'utf8')) as SegmentationReport;
    workbench = await openWorkbench({
      workspaceFolder: workspace.path,
      settings: { 'window.commandCenter': false, 'workbench.layoutControl.enabled': false },
    });
    await workbench.page.setViewportSize({ width: 1440, height: 1000 });
  });

  after(async () => {
    await workbench?.dispose();
    await workspace?.remove();
  });

  /** The demo model with its projection disturbed, so that there is a change to be seen. */
  async function otherModel(model: string): Promise<string> {
    const folder = path.join(workspace.path, 'other');
    await mkdir(folder);
    for (const name of ['open_clip_config.json', 'tokenizer.json'])
      await copyFile(path.join(model, name), path.join(folder, name));
    const { tensors } = await readSafetensors(path.join(model, 'open_clip_model.safetensors'));
    const projection = tensors.get('visual.proj')!;
    const random = keyedRandom(7, 'projection');
    const data = Float32Array.from(
      projection.data as Float32Array,
      value => value + 0.2 * (random.float() - 0.5),
    );
    tensors.set('visual.proj', { ...projection, dtype: 'float32', data });
    await writeSafetensors(path.join(folder, 'open_clip_model.safetensors'), tensors, { format: 'pt' });
    return folder;
  }

  async function openFromExplorer(name: string): Promise<void> {
    await chooseFromMenu(workbench.page, name, 'Open Evaluation');
    await workbench.page.locator('.tab', { hasText: 'Evaluation: ' }).waitFor();
  }

  const panel = (): Promise<Frame> => workbench.webviewFrame('.evaluation-header');

  it('opens with its numbers, classes and pictures', async () => {
    await openFromExplorer('scenes-report.json');
    const frame = await panel();
    await frame.locator('[role="tab"][data-tab="segmentation"][aria-selected="true"]').waitFor();
    const first = frame.locator('.segment-numbers tbody tr').first();
    await first.waitFor();
    const percent = (value: number | null): string => ((value ?? Number.NaN) * 100).toFixed(1);
    const cells = await first.locator('td').allInnerTexts();
    assert.deepEqual(cells.slice(0, 2), [
      percent(report.before!.pixels.miou),
      percent(report.after.pixels.miou),
    ]);
    assert.equal(await frame.locator('.segment-classes tbody tr').count(), 3);
    // Every picture has arrived and can be drawn.
    assert.equal(await frame.locator('.segment-pictures img').count(), 12);
    await frame.waitForFunction(
      `[...document.querySelectorAll('.segment-pictures img')].every(image => image.complete && image.naturalWidth > 0)`,
    );
  });

  it('sorts the classes by the keyboard', async () => {
    const frame = await panel();
    const names = (): Promise<string[]> => frame.locator('.segment-classes tbody th').allInnerTexts();
    await frame.locator('.sort[data-column="name"]').focus();
    await workbench.page.keyboard.press('Enter');
    await frame.locator('th[aria-sort="ascending"]').waitFor();
    assert.deepEqual(await names(), ['a dark thing', 'a light thing', 'the middle']);
    await workbench.page.keyboard.press('Enter');
    await frame.locator('th[aria-sort="descending"]').waitFor();
    assert.deepEqual(await names(), ['the middle', 'a light thing', 'a dark thing']);
    await workbench.keepPicture('segmentation.png');
  });

  it('is there again after a reload', async () => {
    await workbench.reload();
    const frame = await panel();
    await frame.locator('.segment-classes tbody tr').first().waitFor();
    assert.equal(await frame.locator('th[aria-sort="descending"]').innerText(), 'Class ↓');
  });
});
