import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { demoAssets } from '../../extension/demoAssets.ts';
import { prepareDemoFolder, sampleScenes } from '../../extension/demoFolder.ts';
import { resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import { readCocoPanoptic } from '../../trainer/evaluate/cocoPanoptic.ts';
import { regionCount } from '../../trainer/images/regionStore.ts';
import { findTextSource } from '../../trainer/text/promptEncoder.ts';
import { readCocoRegions } from '../../trainer/training/regionFiles.ts';
import { worldClasses } from '../../trainer/world/classes.ts';
import { iconStyles, trainingStyles } from '../../trainer/world/styles.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const { model, workspace } = demoAssets(path.resolve('.'));

async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile());
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await stat(path.join(parentPath, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

describe('the demo that ships', () => {
  let folder: TemporaryFolder;
  before(async () => {
    folder = await temporaryFolder();
  });
  after(() => folder.remove());

  it('is small: the model below 12 MB, the scenes below 1 MB', async () => {
    assert.ok((await bytesBelow(model)) < 12e6);
    assert.ok((await bytesBelow(workspace)) < 1e6);
  });

  it('is a trained CLIP with its own words, and says where it comes from', async () => {
    const files = await resolveModel(model, null);
    assert.equal(files.architecture.imageSize, 48);
    assert.equal((await findTextSource(files)).tokenizerFile, path.join(model, 'tokenizer.json'));
    const card = await readFile(path.join(model, 'README.md'), 'utf8');
    for (const style of trainingStyles)
      for (const fact of [iconStyles[style].title, iconStyles[style].licence]) assert.ok(card.includes(fact));
    assert.match(card, /never trained on \| \d+\.\d %/);
  });

  it('is copied to where it can be written, and leaves alone what is there', async () => {
    const target = folder.file('demo');
    const copy = await prepareDemoFolder(workspace, target);
    const kept = path.join(copy.scenes, '000001.jpg');
    assert.ok((await stat(kept)).size > 1000);
    await writeFile(kept, 'mine');
    await prepareDemoFolder(workspace, target);
    assert.equal(await readFile(kept, 'utf8'), 'mine');
    assert.equal((await sampleScenes(copy, 3)).length, 3);
  });

  it('has proposals for every scene to train on', async () => {
    const { scenes, proposals } = await prepareDemoFolder(workspace, folder.file('proposed'));
    const images = (await readdir(scenes)).sort().map(name => path.join(scenes, name));
    const read = { file: proposals, imageRoot: scenes, images, labelled: false };
    const { store } = await readCocoRegions(read);
    for (const image of images.keys()) assert.ok(regionCount(store, image) >= 3, images[image]);
  });

  it('has annotations that the evaluation reads, of scenes that are not trained on', async () => {
    const { annotations, images, masks, scenes, proposals } = await prepareDemoFolder(
      workspace,
      folder.file('read'),
    );
    const data = await readCocoPanoptic(annotations, false);
    assert.equal(data.images.length, 32);
    assert.deepEqual(
      data.classes.map(({ name }) => name),
      worldClasses.map(({ name }) => name),
    );
    const trained = new Set(
      await Promise.all((await readdir(scenes)).map(name => readFile(path.join(scenes, name), 'base64'))),
    );
    for (const image of await sampleScenes({ annotations, images, masks, scenes, proposals, folder: '' }, 32))
      assert.ok(!trained.has(await readFile(image, 'base64')));
  });
});
