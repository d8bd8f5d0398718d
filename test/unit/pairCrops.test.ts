import assert from 'node:assert/strict';
import { clipNormalisation } from '../../trainer/images/normalise.ts';
import { evaluationCrops } from '../../trainer/pretrain/evaluationCrops.ts';
import { buildCropBatch, type CropBatch, type CropSettings } from '../../trainer/pretrain/pairCrops.ts';
import { PairLoader } from '../../trainer/pretrain/pairLoader.ts';
import { stuffClasses, thingClasses, worldClasses } from '../../trainer/world/classes.ts';
import { loadStyles } from '../../trainer/world/icons.ts';

const settings: CropSettings = {
  seed: 3,
  styles: ['noto', 'emojione'],
  batch: 64,
  cropSize: 24,
  sceneSize: 96,
  normalisation: clipNormalisation,
  prompts: 40,
  rampSteps: 10,
};

/** The pairs of a step, with the sprites of their styles. */
const batchOf = async (own: CropSettings, step: number): Promise<CropBatch> =>
  buildCropBatch(own, await loadStyles(own.styles), step);

describe('pairs of a training step', function () {
  this.timeout(60_000);

  it('are crops of different classes, things and stuff', async () => {
    for (const step of [0, 5, 40]) {
      const { pixels, labels, prompts } = await batchOf(settings, step);
      assert.equal(pixels.length, 64 * 3 * 24 * 24);
      assert.ok(pixels.every(Number.isFinite));
      assert.equal(new Set(labels).size, 64);
      assert.ok(labels.every(label => worldClasses[label] !== undefined));
      assert.ok(labels.some(label => label >= thingClasses.length));
      assert.ok(prompts.every(prompt => prompt >= 0 && prompt < 40));
      // No crop is empty: the darkest possible picture has one value a channel.
      for (let row = 0; row < 64; row++)
        assert.ok(new Set(pixels.subarray(row * 3 * 576, (row + 1) * 3 * 576)).size > 20);
    }
  });

  it('follow from seed and step alone, on any number of worker threads as here', async () => {
    const sprites = await loadStyles(settings.styles);
    for (const workers of [1, 3]) {
      const loader = new PairLoader({ settings, sprites, total: 6, workers });
      try {
        for (const step of [2, 3, 4, 5])
          assert.deepEqual(await loader.next(step), await batchOf(settings, step));
      } finally {
        await loader.dispose();
      }
    }
    const other = await batchOf({ ...settings, seed: 4 }, 2);
    assert.notDeepEqual(other.labels, (await batchOf(settings, 2)).labels);
  });

  it('show nearly every class in the course of a few steps', async () => {
    const seen = new Set<number>();
    for (let step = 20; step < 30; step++)
      for (const label of (await batchOf(settings, step)).labels) seen.add(label);
    assert.equal(seen.size, worldClasses.length);
  });

  it('say so when the classes of the styles do not fill a batch', async () => {
    const things = thingClasses.filter(({ icons }) => icons.fxemoji).length;
    const batch = things + stuffClasses.length + 1;
    await assert.rejects(
      batchOf({ ...settings, styles: ['fxemoji'], sceneSize: 48, batch }, 0),
      /do not show .* classes; choose a smaller --batch/,
    );
  });
});

describe('crops for evaluation', function () {
  this.timeout(60_000);

  it('are the same for the same seed, balanced, and of things alone', async () => {
    const crops = await evaluationCrops('twemoji', 128, 24, 1);
    assert.deepEqual(await evaluationCrops('twemoji', 128, 24, 1), crops);
    const counts = new Map<number, number>();
    for (const { label } of crops) counts.set(label, (counts.get(label) ?? 0) + 1);
    assert.equal(counts.size, thingClasses.length);
    assert.ok([...counts.values()].every(count => count === 2));
    assert.ok(crops.every(({ label }) => worldClasses[label]!.isThing));
  });
});
