import assert from 'node:assert/strict';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { planActivations } from '../../trainer/distill/activationPlan.ts';
import {
  activationBudget,
  bytesBesideActivations,
  describeMemoryPlan,
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

  it('says what was chosen and why', () => {
    const use = {
      architecture,
      parameters: { total: 86_192_640, trainable: 85_054_464 },
      ...{ size: 1024, cropSize: 224, images: 1, maxBoxes: 20 },
    };
    assert.equal(activationBudget(gib, use), 0);
    const budget = activationBudget(5 * gib, use);
    assert.equal(budget, 5 * gib - bytesBesideActivations(use));
    const line = describeMemoryPlan(planFor(1024, budget), 5 * gib, use);
    assert.match(
      line,
      /^memory budget 5\.0 GiB: about \d\.\d GiB for weights, .*activations kept: .*attention weights/,
    );
    assert.match(
      describeMemoryPlan(planFor(1024, 0), gib, use),
      /more than the budget.*compute theirs again/,
    );
  });
});
