import assert from 'node:assert/strict';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { EngineError } from '../../trainer/engines/engineError.ts';
import { visionTensorShapes } from '../../trainer/models/architecture.ts';
import { trainingDefaults } from '../../trainer/training/settings.ts';
import { type MemoryRequest, planStepMemory } from '../../trainer/training/stepMemory.ts';

const mebibyte = 2 ** 20;
const architecture = knownArchitectures.get('ViT-B-16')!;
const parameters = new Map(
  [...visionTensorShapes(architecture)].map(([name, shape]) => [name, { shape }] as const),
);

/** The published recipe on a grid: two images of 1024 px and twenty crops of each. */
const request: MemoryRequest = {
  settings: trainingDefaults,
  architecture,
  parameters,
  trainable: trainableNames(architecture, parameters.keys(), 12),
  ownImages: 2,
  regions: 0,
  exchanged: false,
  largestTensor: Number.POSITIVE_INFINITY,
  memoryShared: false,
};
const planWith = (changed: Partial<MemoryRequest>, settings: Partial<MemoryRequest['settings']> = {}) =>
  planStepMemory({ ...request, ...changed, settings: { ...request.settings, ...settings } });

describe('memory of a step', () => {
  it('takes a batch at once where memory alone bounds tensors', () => {
    const { keptRegions, passes, budget, use, remarks } = planWith({});
    assert.deepEqual(passes, { imagesPerPass: 2, cropsAtOnce: 40 });
    assert.deepEqual([keptRegions, budget, remarks], [0, 6 * 2 ** 30, []]);
    assert.deepEqual(
      [use.images, use.maxBoxes, use.size, use.cropSize, use.gradientsWait, use.embeddingBytes],
      [2, 20, 1024, 224, false, 0],
    );
    assert.equal(use.memoryShared, false);
    assert.equal(planWith({ memoryShared: true }).use.memoryShared, true);
    assert.deepEqual(use.parameters, { total: 86_192_640, trainable: 85_054_464 });
  });

  it('is that of the images a rank has, and of the largest size', () => {
    const { use, passes } = planWith({ ownImages: 1 }, { batch: 4, multiscale: '640,1280' });
    assert.deepEqual([use.images, use.size, passes.imagesPerPass], [1, 1280, 4]);
    assert.equal(use.sizeOption, '--multiscale');
    assert.equal(planWith({}, { multiscale: '640,1024' }).use.sizeOption, '--size');
  });

  it('holds gradients that wait for others', () => {
    assert.equal(planWith({ ownImages: 4 }).use.gradientsWait, true, 'of further passes');
    assert.equal(planWith({ exchanged: true }).use.gradientsWait, true, 'of other ranks');
    assert.equal(planWith({}, { retention: 0.5 }).use.gradientsWait, true, 'of whole images');
    assert.equal(planWith({}, { precision: 'fp16' }).use.gradientsWait, true, 'of a scaled loss');
  });

  it('keeps as many embeddings as it is given room for', () => {
    // 2 KiB each.
    const all = planWith({ regions: 1000 }, { teacherCacheMib: 3 });
    assert.deepEqual([all.keptRegions, all.use.embeddingBytes], [1000, 2048 * 1000]);
    assert.deepEqual(all.remarks, ["the teacher's embeddings of 1000 of 1000 regions are kept"]);
    const some = planWith({ regions: 1000 }, { teacherCacheMib: 1 });
    assert.deepEqual([some.keptRegions, some.use.embeddingBytes], [512, mebibyte]);
    assert.deepEqual(some.remarks, ["the teacher's embeddings of 512 of 1000 regions are kept"]);
    assert.deepEqual(planWith({ regions: 1000 }).remarks, []);
  });

  it('cuts passes for an engine that bounds tensors, and says so', () => {
    const { passes, use, remarks } = planWith({ largestTensor: 512 * mebibyte }, { batch: 8 });
    const { imagesPerPass, cropsAtOnce } = passes;
    assert.ok(imagesPerPass >= 1 && imagesPerPass < 8 && cropsAtOnce <= 160, JSON.stringify(passes));
    assert.equal(use.images, Math.min(2, imagesPerPass));
    assert.deepEqual(remarks, [
      `the graphics card allows tensors of 512.0 MiB: ${imagesPerPass} of 8 images at a time go through the student, ${cropsAtOnce} crops through the teacher`,
    ]);
    assert.deepEqual(planWith({ largestTensor: 2 ** 40 }).remarks, []);
    assert.throws(() => planWith({ largestTensor: mebibyte }), EngineError);
    assert.throws(
      () => planWith({ largestTensor: mebibyte }, { multiscale: '640,1280' }),
      /lower --multiscale, or take --engine cpu$/,
    );
  });
});
