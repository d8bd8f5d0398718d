import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { trainArguments } from '../../extension/commandLine.ts';
import { isProgrammatic, parseFineTuneArguments } from '../../extension/fineTuneRequest.ts';
import { presetOf, presetsFor, resolveSettings } from '../../extension/presets.ts';
import { type Memory, RememberedChoices, rememberedFirst } from '../../extension/rememberedChoices.ts';
import { directoryOfArgument } from '../../extension/runArgument.ts';
import { freeDirectory, runName } from '../../extension/runName.ts';
import { resolveRunsFolder } from '../../extension/runsFolder.ts';
import { absoluteShards, shardProblem } from '../../extension/shardChoice.ts';
import { checkSettings } from '../../extension/trainingSettings.ts';
import { runWizard, type StepOutcome, type StepPosition } from '../../extension/wizard.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

describe('the argument of the fine-tune command', () => {
  it('is taken as it is when it is complete', () => {
    const given = {
      model: '/m/model',
      images: '/i',
      preset: 'quickLook',
      settings: { size: 96, holdOut: null },
      openPanel: false,
    };
    assert.deepEqual(parseFineTuneArguments(given), given);
    assert.equal(isProgrammatic(given), true);
  });

  it('may be missing, or be what menus pass', () => {
    for (const value of [undefined, null, 'text', 7, new URL('file:///a'), []]) {
      assert.deepEqual(parseFineTuneArguments(value), {});
      assert.equal(isProgrammatic(value), false);
    }
    assert.equal(isProgrammatic({ model: '/m' }), false);
  });

  it('is refused with the entry that is wrong', () => {
    const refused: [object, RegExp][] = [
      [{ modle: '/m' }, /modle/],
      [{ model: 'relative/model' }, /“model” must be an absolute path/],
      [{ images: 3 }, /“images”/],
      [{ preset: 'toString' }, /toString.*quickLook/],
      [{ settings: { size: '96' } }, /size must be a number/],
      [{ settings: { sice: 96 } }, /“sice”/],
      [{ settings: [] }, /“settings”/],
      [{ openPanel: 'yes' }, /“openPanel”/],
    ];
    for (const [value, message] of refused) assert.throws(() => parseFineTuneArguments(value), message);
  });
});

describe('settings of a run', () => {
  it('refuse what the trainer would', () => {
    assert.throws(() => checkSettings({ size: 15 }), /size must lie between 16 and 8192/);
    assert.throws(() => checkSettings({ epochs: 1.5 }), /whole number/);
    assert.throws(() => checkSettings({ blend: Number.NaN }), /blend/);
    assert.throws(() => checkSettings({ batch: null }), /batch/);
    assert.deepEqual(checkSettings({ beta1: null, arch: null }), { beta1: null, arch: null });
  });

  it('come from the editor, the preset and the caller, the latter winning', () => {
    const editor = { size: 512, epochs: 9, seed: 3, batch: 8 };
    const resolved = resolveSettings(editor, presetOf('quickLook'), { epochs: 2 });
    assert.equal(resolved.seed, 3);
    assert.equal(resolved.size, 224);
    assert.equal(resolved.epochs, 2);
    assert.deepEqual(resolveSettings(editor, presetOf('fromSettings'), {}), editor);
  });

  it('offer the demo preset for the demo model alone', () => {
    assert.equal(presetsFor(true)[0]?.id, 'demo');
    assert.ok(!presetsFor(false).some(({ id }) => id === 'demo'));
  });

  it('become flags, left out where the trainer decides', () => {
    const settings = { size: 224, learningRate: 1e-5, holdOut: null, arch: '', threads: 0 };
    assert.deepEqual(trainArguments({ model: '/m', images: '/i', out: '/r', settings }), [
      ...['train', '--model', '/m', '--images', '/i', '--out', '/r'],
      ...['--size', '224', '--lr', '0.00001', '--threads', '0'],
    ]);
  });
});

describe('the place of a run', () => {
  const folder = path.resolve('/some/space');
  /** `${name}` as it stands in a settings file. */
  const variable = (name: string) => `$\{${name}}`;

  it('follows from the setting and the workspace', () => {
    assert.equal(resolveRunsFolder(`${variable('workspaceFolder')}/runs`, folder), path.join(folder, 'runs'));
    assert.equal(resolveRunsFolder('', folder), path.join(folder, 'runs'));
    assert.equal(resolveRunsFolder('out', folder), path.join(folder, 'out'));
    assert.equal(resolveRunsFolder(`${variable('userHome')}/x`, folder), path.join(os.homedir(), 'x'));
    assert.equal(resolveRunsFolder('~/x', undefined), path.join(os.homedir(), 'x'));
    const fallback = path.join(os.homedir(), 'clipself-runs');
    assert.equal(resolveRunsFolder(`${variable('workspaceFolder')}/runs`, undefined), fallback);
  });

  it('is named after the images and the time', () => {
    const when = new Date(2025, 0, 31, 4, 5, 6);
    assert.equal(runName('/data/Küche 2/', when), 'Küche-2-20250131-040506');
    assert.equal(runName('/data/coco.json', when), 'coco-20250131-040506');
    assert.equal(runName('/data/shards/{0..9}.tar,/b/1.tar', when), 'shards-20250131-040506');
    assert.equal(runName('/data/...', when), 'run-20250131-040506');
  });

  it('is a directory that does not exist', async () => {
    const parent = await mkdtemp(path.join(os.tmpdir(), 'clipself-'));
    try {
      assert.equal(await freeDirectory(parent, 'a'), path.join(parent, 'a'));
      await mkdir(path.join(parent, 'a'));
      await mkdir(path.join(parent, 'a-2'));
      assert.equal(await freeDirectory(parent, 'a'), path.join(parent, 'a-3'));
      // A job waits to make it.
      await writeFile(path.join(parent, 'a-3.sbatch'), '');
      assert.equal(await freeDirectory(parent, 'a'), path.join(parent, 'a-4'));
    } finally {
      await rm(parent, { recursive: true });
    }
  });

  it('is read from a path or an entry of the runs view', () => {
    assert.equal(directoryOfArgument('/runs/a/../b'), path.normalize('/runs/b'));
    assert.equal(directoryOfArgument({ directory: '/runs/a', name: 'a' }), path.normalize('/runs/a'));
    for (const value of ['runs/a', undefined, null, 4, {}, { directory: { directory: 3 } }]) {
      assert.equal(directoryOfArgument(value), null);
    }
  });
});

describe('remembered choices', () => {
  const memoryOf = (stored: Map<string, unknown>): Memory => ({
    get: key => stored.get(key),
    update: async (key, value) => void stored.set(key, value),
  });

  it('are the latest first, without duplicates and bounded', async () => {
    const choices = new RememberedChoices(memoryOf(new Map()), 'key', 3);
    for (const choice of ['a', 'b', 'c', 'a', 'd']) await choices.add(choice);
    assert.deepEqual(choices.list(), ['d', 'a', 'c']);
    await choices.remove('a');
    assert.deepEqual(choices.list(), ['d', 'c']);
  });

  it('survive whatever was stored', () => {
    for (const stored of [undefined, 'text', { a: 1 }, [1, 'a', null]]) {
      const list = new RememberedChoices(memoryOf(new Map([['key', stored]])), 'key', 3).list();
      assert.deepEqual(list, Array.isArray(stored) ? ['a'] : []);
    }
  });

  it('go before the others, which keep their order', () => {
    assert.deepEqual(
      rememberedFirst(['a', 'b', 'c', 'd'], ['d', 'x', 'b'], item => item),
      ['d', 'b', 'a', 'c'],
    );
  });
});

describe('a series of questions', () => {
  interface Answers {
    first: string;
    second: string;
  }

  /** Steps that give the prepared outcomes and note what they were asked with. */
  function scripted(outcomes: StepOutcome<Partial<Answers>>[]) {
    const asked: [Partial<Answers>, StepPosition][] = [];
    const step = async (state: Partial<Answers>, position: StepPosition) => {
      asked.push([state, position]);
      return outcomes.shift()!;
    };
    return { asked, steps: [step, step] };
  }

  it('goes back to the question before, without its answer', async () => {
    const { asked, steps } = scripted([
      { kind: 'answered', value: { first: 'a' } },
      { kind: 'back' },
      { kind: 'answered', value: { first: 'b' } },
      { kind: 'answered', value: { second: 'c' } },
    ]);
    assert.deepEqual(await runWizard<Answers>(steps, {}), { first: 'b', second: 'c' });
    assert.deepEqual(
      asked.map(([state, { number, canGoBack }]) => [state, number, canGoBack]),
      [
        [{}, 1, false],
        [{ first: 'a' }, 2, true],
        [{}, 1, false],
        [{ first: 'b' }, 2, true],
      ],
    );
  });

  it('ends without answers when cancelled', async () => {
    const { steps } = scripted([{ kind: 'answered', value: { first: 'a' } }, { kind: 'cancelled' }]);
    assert.equal(await runWizard<Answers>(steps, {}), null);
  });

  it('asks nothing when nothing is open', async () => {
    assert.deepEqual(await runWizard<Answers>([], { first: 'a' }), { first: 'a' });
  });
});

describe('tar shards as training images', () => {
  it('are accepted by the command as absolute patterns', () => {
    const images = '/a/{0000..0003}.tar,/b/*.tar';
    assert.deepEqual(parseFineTuneArguments({ images }), { images });
    assert.throws(() => parseFineTuneArguments({ images: '/a/1.tar,b/2.tar' }), /by absolute paths/);
  });

  it('are checked as they are typed', async () => {
    const folder = await temporaryFolder();
    try {
      for (const name of ['0.tar', '1.tar']) await writeFile(folder.file(name), '');
      assert.equal(await shardProblem('{0..1}.tar', folder.path), null);
      assert.equal(await shardProblem('*.tar, 0.tar', folder.path), null);
      assert.match((await shardProblem('{0..2}.tar', folder.path))!, /2\.tar: there is no such shard/);
      assert.match((await shardProblem('a.tar.gz', folder.path))!, /it is compressed/);
      assert.match((await shardProblem('images', folder.path))!, /Name \.tar files/);
      assert.equal(absoluteShards('0.tar, 1.tar', '/x'), '/x/0.tar,/x/1.tar');
    } finally {
      await folder.remove();
    }
  });
});
