import assert from 'node:assert/strict';
import { presetIds, presetOf } from '../../extension/presets.ts';
import { checkSettings } from '../../extension/trainingSettings.ts';
import { recipes } from '../../trainer/recipes.ts';
import { readRunConfiguration } from '../../trainer/runs/runConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { resolveSettings, trainingDefaults } from '../../trainer/training/settings.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  tinyCommand,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('published recipes', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
  });
  after(() => folder.remove());

  it('are settings that the trainer and the extension take, and say every value of training themselves', () => {
    for (const [name, recipe] of Object.entries(recipes)) {
      const resolved = resolveSettings({ ...recipe, model: '/m', images: '/i' }, 100, 'openai');
      for (const [setting, value] of Object.entries(recipe))
        assert.equal(resolved[setting as 'size'], value, `${name}: ${setting}`);
      checkSettings(recipe);
      // What a recipe leaves to others is nothing the paper or its scripts say.
      const left = Object.keys(trainingDefaults).filter(setting => !(setting in recipe));
      const expected = ['memoryBudgetGib', 'arch', 'beta1', 'beta2', 'checkpointEvery', 'embeddings'];
      expected.push('engine', 'epsilon', 'evaluateEmbeddings', 'evaluateImages', 'evaluateLimit');
      expected.push('evaluateMasks', 'evaluatePanoptic', 'keepCheckpoints', 'prompts', 'seed', 'threads');
      expected.push('compareWeightsEvery', 'exchange', 'precision', 'ranks', 'teacherCacheMib');
      if (resolved.regions !== 'grid') expected.push('boxes', 'maxSplit');
      assert.deepEqual(left.sort(), expected.sort(), name);
    }
    for (const id of presetIds) checkSettings(presetOf(id).overrides);
  });

  it('patches of B/16 are what is trained without any', () => {
    for (const [setting, value] of Object.entries(recipes['b16-patches']))
      assert.equal(trainingDefaults[setting as 'size'], value, setting);
  });

  it('start a run, other options winning', async () => {
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 5);
    const command = tinyCommand(folder.file('model'), folder.file('images'), folder.file('run'));
    const { status, stderr } = await runTrainer([...command, '--preset', 'l14-patches', '--epochs', '1']);
    assert.equal(status, 0, stderr);
    const { settings } = await readRunConfiguration(runFiles(folder.file('run')).configuration);
    assert.deepEqual(
      [settings.blend, settings.unlockedBlocks, settings.size, settings.epochs],
      [0.95, 24, 32, 1],
    );
    const unknown = await runTrainer([...command, '--preset', 'magic']);
    assert.equal(unknown.status, 2);
    assert.match(unknown.stderr, /--preset takes b16-patches, b16-proposals/);
  });
});
