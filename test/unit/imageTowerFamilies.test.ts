import assert from 'node:assert/strict';
import { evaAdamW, vitAdamW } from '../../trainer/distill/optimiser.ts';
import { planRun } from '../../trainer/training/runPlan.ts';
import { resolveSettings, SettingError } from '../../trainer/training/settings.ts';
import { fixturePath } from '../support/goldenTensors.ts';

describe('families of image towers', () => {
  const request = { model: '/model', images: '/images' };

  it("train with the published code's optimiser constants unless told otherwise", () => {
    const constants = (kind: Parameters<typeof resolveSettings>[2], changes = {}) => {
      const { beta1, beta2, epsilon } = resolveSettings({ ...request, ...changes }, 100, kind);
      return { beta1, beta2, epsilon };
    };
    assert.deepEqual(constants('openai'), { ...vitAdamW });
    assert.deepEqual(constants('openclip'), { beta1: 0.9, beta2: 0.98, epsilon: 1e-6 });
    assert.deepEqual(constants('eva02'), { ...evaAdamW });
    assert.deepEqual(constants('eva02'), { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
    assert.deepEqual(constants('eva02', { beta2: 0.98 }), { beta1: 0.9, beta2: 0.98, epsilon: 1e-8 });
  });

  it('refuse to train a ResNet before anything is written', async () => {
    const images = fixturePath('datasets');
    await assert.rejects(planRun({ model: fixturePath('resnet'), images }), (error: unknown) => {
      assert.ok(error instanceof SettingError);
      assert.match(error.message, /resnet is a ResNet: CLIPSelf trains vision transformers/);
      return true;
    });
  });

  it('plan a run of EVA-02 that leaves the last queries and keys and the rotary tables alone', async () => {
    const images = fixturePath('preprocess');
    const plan = await planRun({
      model: fixturePath('eva02'),
      images,
      size: 64,
      batch: 1,
      holdOut: 0,
      unlockedBlocks: 1,
    });
    assert.ok(plan.trainable.length === 18);
    assert.ok(plan.trainable.every(name => name.startsWith('visual.blocks.2.')));
    for (const absent of ['q_proj.weight', 'k_proj.weight', 'q_bias', 'rope.freqs_cos'])
      assert.ok(!plan.trainable.includes(`visual.blocks.2.attn.${absent}`), absent);
    assert.equal(plan.configuration.settings.epsilon, 1e-8);
  });
});
