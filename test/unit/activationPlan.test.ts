import assert from 'node:assert/strict';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { planActivations } from '../../trainer/distill/activationPlan.ts';
import {
  activationBudget,
  bytesBesideActivations,
  describeMemoryPlan,
  type MemoryUse,
} from '../../trainer/distill/memoryPlan.ts';
import { requireTransformer, visionTensorShapes } from '../../trainer/models/architecture.ts';
import { denseStages } from '../../trainer/models/visionStages.ts';

const gib = 2 ** 30;
const architecture = requireTransformer(knownArchitectures.get('ViT-B-16')!, 'training');
const names = [...visionTensorShapes(architecture).keys()];
const inBlocks = new Set(names.filter(name => name.includes('resblocks')));

const planFor = (size: number, budget: number, trainable: ReadonlySet<string> = inBlocks) => {
  const side = size / architecture.patchSize;
  const batch = { batch: 1, height: size, width: size, rows: side, columns: side };
  return planActivations(denseStages(architecture, batch), trainable, budget);
};

describe('plan of activations', () => {
  it('keeps everything where there is room', () => {
    const { counts, keptBytes } = planFor(1024, 64 * gib);
    assert.deepEqual(counts, { keep: 13, compact: 0, recompute: 0 });
    // Eleven attention matrices of twelve heads and 4097² weights alone.
    assert.ok(keptBytes > 11 * 12 * 4 * 4097 ** 2);
  });

  it('keeps no attention weights that are made in pieces: they are computed again as fast', () => {
    const batch = { batch: 1, height: 1024, width: 1024, rows: 64, columns: 64 };
    const stages = denseStages(architecture, { ...batch, attentionPieceBytes: 8 * 2 ** 20 });
    const { counts, keptBytes } = planActivations(stages, inBlocks, 64 * gib);
    assert.deepEqual(counts, { keep: 13, compact: 0, recompute: 0 });
    assert.ok(keptBytes < 1.6 * gib, `${keptBytes} bytes`);
  });

  it('gives up attention weights before anything else', () => {
    const { counts, keptBytes, stages } = planFor(1024, 2 * gib);
    assert.deepEqual([counts.recompute, counts.keep + counts.compact], [0, 13]);
    assert.ok(counts.compact >= 10 && keptBytes < 2 * gib, `${counts.compact} compact, ${keptBytes} bytes`);
    for (const { split } of stages)
      for (const name of split?.savedNames ?? [])
        if (split!.forward[name]!.shape.at(-1) === 4097) assert.ok(counts.keep > 2, 'weights were kept');
  });

  it('computes again what does not fit, and keeps nothing without a budget', () => {
    const some = planFor(1024, 0.5 * gib);
    assert.ok(some.counts.recompute > 0 && some.counts.compact > 0 && some.keptBytes <= 0.5 * gib);
    const none = planFor(1024, 0);
    assert.equal(none.keptBytes, 0);
    assert.equal(none.counts.compact, 0);
  });

  it('leaves frozen stages before the first trainable one without a backward pass', () => {
    const last = new Set(names.filter(name => name.includes('resblocks.11.')));
    const { stages, counts } = planFor(448, gib, last);
    assert.deepEqual(
      stages.map(({ split }) => split !== null),
      [...Array(12).fill(false), true, true],
    );
    assert.equal(counts.keep, 2);
  });

  describe('of a memory budget', () => {
    const use: MemoryUse = {
      architecture,
      parameters: { total: 86_192_640, trainable: 85_054_464 },
      ...{ size: 1024, cropSize: 224, sizeOption: '--size', images: 1, maxBoxes: 20 },
      ...{ gradientsWait: false, embeddingBytes: 0, memoryShared: false },
    };
    const planned = (gibibytes: number) => planFor(1024, activationBudget(gibibytes * gib, use));
    const described = (gibibytes: number) => describeMemoryPlan(planned(gibibytes), gibibytes * gib, use);

    it('leaves activations what the rest does not take', () => {
      const fixed = bytesBesideActivations(use);
      assert.ok(fixed > 4.2 * gib && fixed < 4.4 * gib, `${fixed} bytes`);
      assert.equal(activationBudget(5 * gib, use), 5 * gib - fixed);
      assert.equal(activationBudget(gib, use), 0);
      const { keptBytes } = planned(5);
      assert.ok(keptBytes > 0 && fixed + keptBytes <= 5 * gib);
    });

    it('counts gradients and embeddings that wait', () => {
      const fixed = bytesBesideActivations(use);
      assert.equal(bytesBesideActivations({ ...use, gradientsWait: true }), fixed + 4 * 85_054_464);
      assert.equal(bytesBesideActivations({ ...use, embeddingBytes: 1e6 }), fixed + 1e6);
      const waiting = { ...use, gradientsWait: true, embeddingBytes: gib };
      assert.match(
        describeMemoryPlan(planFor(1024, 0), 5 * gib, waiting),
        /about 5\.\d GiB for weights, optimiser, gradients that wait, the teacher's embeddings and the program at work,/,
      );
    });

    it('counts what programs keep for themselves unless they share it', () => {
      const fixed = bytesBesideActivations(use);
      assert.equal(
        Math.round(bytesBesideActivations({ ...use, memoryShared: true })),
        Math.round(fixed - 0.4 * gib),
      );
    });

    it('is told with its reason: everything, or all but attention weights, or nothing', () => {
      assert.match(
        described(24),
        /^memory budget 24\.0 GiB: about 4\.3 GiB for weights, optimiser and the program at work, which leaves 19\.7 GiB for activations of 1 image of 1024 px; of 13 stages 13 keep all that saves time: 9\.\d GiB$/,
      );
      assert.match(
        described(6),
        /which leaves 1\.7 GiB for activations of 1 image of 1024 px; of 13 stages \d keeps? all that saves time, \d+ keep all but attention weights: 1\.\d GiB$/,
      );
      assert.match(
        described(5),
        /leaves 0\.7 GiB .* keep all but attention weights, \d computes? everything again: 0\.\d GiB$/,
      );
      assert.match(
        described(1),
        /about 4\.3 GiB .* at work, which is more than the budget \(lower --size or --batch, or raise --memory-budget\) and leaves nothing for .* compute everything again: 0\.0 GiB$/,
      );
      assert.match(
        describeMemoryPlan(planned(1), gib, { ...use, sizeOption: '--multiscale' }),
        /\(lower --multiscale or --batch, or raise --memory-budget\)/,
      );
    });
  });
});
