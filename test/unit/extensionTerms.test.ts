import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { settingFlags } from '../../extension/commandLine.ts';
import { inEditorTerms, trainingTerms } from '../../extension/editorTerms.ts';
import { describeCheck, runEngineCheck } from '../../extension/engineCheck.ts';
import { type TunableSetting, trainingSettingKey } from '../../extension/identifiers.ts';
import { presetOf, withPresetAdvice } from '../../extension/presets.ts';
import { clearLine } from '../../extension/trainerProcess.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

describe("the trainer's words in VS Code", () => {
  it('name the setting in place of each flag of a run', () => {
    for (const [setting, flag] of Object.entries(settingFlags) as [TunableSetting, string][]) {
      const key = trainingSettingKey(setting);
      assert.equal(
        inEditorTerms(`lower ${flag}, or (${flag}) 3`, trainingTerms),
        `lower ${key}, or (${key}) 3`,
      );
    }
  });

  it('leave alone what no setting stands for', () => {
    const kept = [
      "Install TensorFlow again with 'clipself setup-tensorflow --cuda --engine cpu'",
      '/data/--batch/image.jpg: no image',
      '/data/a--batch',
      'srun --mpi=list',
      'take all settings from the run; leave out --batch-size',
      'the -- of the shell',
    ];
    for (const text of kept) assert.equal(inEditorTerms(text, trainingTerms), text);
  });

  it('say what only a terminal offers, outside of training', () => {
    assert.equal(
      inEditorTerms('Correct the file, leave such parts out with --skip-broken, or take --engine cpu'),
      'Correct the file, leave such parts out with --skip-broken (in a terminal), or take clipself.engine cpu',
    );
    assert.equal(clearLine('clipself: --size must be 3'), 'the size must be 3');
    assert.equal(
      inEditorTerms('a.png: it has the label 9. Check --classes and --format'),
      'a.png: it has the label 9. Check the list of classes and the format of the labels',
    );
  });

  it('name the setting in what a check of the engines says', async () => {
    const folder = await temporaryFolder();
    const detail = 'no graphics card was found: update its driver, or take --engine cpu';
    const check = {
      engines: [{ engine: 'webgpu', works: false, detail }],
      choices: [{ model: 'tiny', engine: 'cpu', reason: `webgpu: ${detail}` }],
    };
    await mkdir(folder.file('dist/trainer'), { recursive: true });
    const script = `console.log(${JSON.stringify(JSON.stringify(check))})`;
    await writeFile(folder.file('dist/trainer/cli.js'), script);
    const found = await runEngineCheck(folder.path, false, new AbortController().signal);
    const said = detail.replace('--engine', trainingSettingKey('engine'));
    assert.deepEqual(describeCheck(found), [`✗ webgpu: ${said}`, `auto takes cpu for tiny: webgpu: ${said}`]);
    await folder.remove();
  });

  it('say which settings a preset takes out of the hands of the settings', () => {
    const demo = presetOf('demo');
    const problem = 'Lower clipself.training.holdOut or clipself.training.seed';
    const advice = 'The preset “Demo” has its own holdOut: take “From settings” to choose.';
    assert.equal(withPresetAdvice(problem, demo, {}), `${problem}. ${advice}`);
    assert.equal(withPresetAdvice(`${problem}.`, demo, {}), `${problem}. ${advice}`);
    assert.equal(withPresetAdvice(problem, demo, { holdOut: 2 }), problem);
    assert.equal(withPresetAdvice('no such file', demo, {}), 'no such file');
    assert.equal(withPresetAdvice(problem, presetOf('fromSettings'), {}), problem);
  });
});
