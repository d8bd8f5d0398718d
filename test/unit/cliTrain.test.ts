import assert from 'node:assert/strict';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readJson, writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import { resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import { readSafetensors, readSafetensorsHeader } from '../../trainer/checkpoints/safetensors.ts';
import type { RunConfiguration } from '../../trainer/protocol.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { readRunConfiguration } from '../../trainer/runs/runConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { settingRanges, trainingDefaults } from '../../trainer/training/settings.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  startProcess,
  tinyArchitecture,
  tinyCommand,
  tinyTensors,
  trainerProgram,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('clipself train', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;

  const command = (run: string, images = 'images') => [
    ...tinyCommand(folder.file('model'), folder.file(images), folder.file(run)),
    ...['--epochs', '2'],
  ];
  const succeeds = async (args: readonly string[]) => {
    const ended = await runTrainer(args);
    assert.equal(ended.status, 0, ended.stderr);
    return ended;
  };
  const events = async (run: string) =>
    (await readMetricHistory(runFiles(folder.file(run)).metrics)).events.map(({ event }) => event);
  const configurationOf = (run: string): Promise<RunConfiguration> =>
    readRunConfiguration(runFiles(folder.file(run)).configuration);

  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 12);
    const { stdout } = await succeeds([...command('run'), '--json']);
    await writeFile(folder.file('stdout.txt'), stdout);
  });
  after(() => folder.remove());

  it('prints the outcome as one JSON line', async () => {
    const lines = (await readFile(folder.file('stdout.txt'), 'utf8')).split('\n');
    assert.equal(lines.length, 2);
    const outcome = JSON.parse(lines[0]!) as Record<string, unknown>;
    assert.deepEqual([outcome.directory, outcome.state, outcome.step], [folder.file('run'), 'finished', 10]);
    const { evaluations } = await readMetricHistory(runFiles(folder.file('run')).metrics);
    assert.deepEqual(
      evaluations.map(({ eval: { epoch, step } }) => [epoch, step]),
      [
        [0, 0],
        [1, 5],
        [2, 10],
      ],
    );
    assert.equal(outcome.before, evaluations[0]!.eval['heldOut.cosine']);
    assert.equal(outcome.after, evaluations[2]!.eval['heldOut.cosine']);
  });

  it('describes itself', async () => {
    const { stdout, stderr } = await succeeds(['--help']);
    assert.equal(stderr, '');
    for (const { option } of Object.values(settingRanges))
      assert.match(stdout, new RegExp(`^  ${option} `, 'm'));
    for (const option of ['--model', '--images', '--out', '--resume', '--config', '--json'])
      assert.ok(stdout.includes(option), option);
    const overview = await startProcess(process.execPath, [trainerProgram, '--help']).ended;
    assert.equal(overview.status, 0);
    assert.match(overview.stdout, /^ {2}train +fine-tune/m);
  });

  it('tells a person what changed and reports progress', async () => {
    const { stdout, stderr } = await succeeds(command('told'));
    assert.match(
      stdout,
      new RegExp(
        `^finished after step 10: ${folder.file('told')}\nmean student/teacher cosine on held-out patches: -?0\\.\\d{4} → -?0\\.\\d{4}\n$`,
      ),
    );
    assert.match(stderr, /^comparing student and teacher on 1 held-out images$/m);
    assert.match(stderr, /^epoch 2: mean student\/teacher cosine -?0\.\d{4} on \d+ held-out patches$/m);
    const log = await readFile(runFiles(folder.file('told')).log, 'utf8');
    for (const line of log.trimEnd().split('\n'))
      assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[(info|warning|error)\] \S/);
    assert.match(log, /\[info\] epoch 1: mean student\/teacher cosine/);
  });

  it('has every setting resolved in config.json', async () => {
    const { settings, totalSteps, stepsPerEpoch, imageCount, parameters } = await configurationOf('run');
    const names = [...Object.keys(trainingDefaults), 'model', 'images', 'holdOut'].sort();
    assert.deepEqual(Object.keys(settings).sort(), names);
    assert.deepEqual(
      [settings.size, settings.learningRate, settings.blend],
      [32, 1e-3, trainingDefaults.blend],
    );
    assert.deepEqual([settings.model, settings.images], [folder.file('model'), folder.file('images')]);
    assert.deepEqual([totalSteps, stepsPerEpoch], [10, 5]);
    assert.deepEqual(imageCount, { found: 12, training: 11, heldOut: 1 });
    const sizes = [...tinyTensors()].map(([name, { data }]) => [name, data.length] as const);
    assert.equal(
      parameters.total,
      sizes.reduce((sum, [, size]) => sum + size, 0),
    );
    assert.ok(parameters.trainable < parameters.total);
  });

  it('takes settings from a file, and options win', async () => {
    const file = folder.file('settings.json');
    const { settings } = await configurationOf('run');
    await writeJson(file, { ...settings, epochs: 5, seed: 3 });
    await succeeds(['--config', file, '--out', folder.file('from-file'), '--epochs', '1']);
    assert.deepEqual((await configurationOf('from-file')).settings, { ...settings, epochs: 1, seed: 3 });

    // A run's own config.json does as well: the same settings give the same weights.
    await succeeds(['--config', runFiles(folder.file('run')).configuration, '--out', folder.file('again')]);
    const student = (run: string) => readFile(runFiles(folder.file(run)).student);
    assert.ok((await student('again')).equals(await student('run')));
  });

  it('resumes by the run alone, also when the configuration of the model was given beside it', async () => {
    const arch = path.relative(process.cwd(), folder.file('model/open_clip_config.json'));
    const args = ['--arch', arch, '--checkpoint-every', '2'];
    await succeeds([...command('by-arch'), ...args]);
    assert.equal(
      (await configurationOf('by-arch')).settings.arch,
      folder.file('model/open_clip_config.json'),
    );
    const { student } = runFiles(folder.file('by-arch'));
    const expected = await readFile(student);
    await rm(student);
    await succeeds(['--resume', folder.file('by-arch')]);
    assert.ok((await readFile(student)).equals(expected));
  });

  it('leaves a finished run as it is', async () => {
    const directory = folder.file('run');
    const state = async () => {
      const names = (await readdir(directory, { recursive: true })).filter(name => name !== 'log.txt').sort();
      const files = names.map(name => path.join(directory, name));
      return Promise.all(
        files.map(async file => {
          const status = await stat(file);
          return status.isFile() ? [file, status.mtimeMs, (await readFile(file)).toString('base64')] : [file];
        }),
      );
    };
    const before = await state();
    for (const args of [command('run'), ['--resume', directory]]) {
      const { stdout, stderr } = await succeeds(args);
      assert.match(stdout, /^finished after step 10: .*\nmean student\/teacher cosine .* → /);
      assert.equal(stderr, 'the run has finished already\n');
    }
    const { stdout } = await succeeds([...command('run'), '--json']);
    assert.equal(stdout, await readFile(folder.file('stdout.txt'), 'utf8'));
    assert.deepEqual(await state(), before);
  });

  it('gives a student that is a model again', async () => {
    const { student } = runFiles(folder.file('run'));
    const source = await readSafetensorsHeader(folder.file('model/open_clip_model.safetensors'));
    const shapes = ({ tensors }: typeof source) =>
      Object.fromEntries([...tensors].map(([name, { shape, dtype }]) => [name, [dtype, ...shape]]));
    assert.deepEqual(shapes(await readSafetensorsHeader(student)), shapes(source));

    // Its own metadata tells the architecture: there is no open_clip_config.json beside it.
    const model = await resolveModel(student);
    assert.deepEqual(model.architecture, tinyArchitecture);
    assert.equal(model.sourceNames.architecture, `metadata of ${student}`);
    const { tensors } = await readSafetensors(student);
    const moved = (name: string) =>
      Buffer.compare(
        Buffer.from(tensors.get(name)!.data.buffer),
        Buffer.from(tinyTensors().get(name)!.data.buffer),
      ) !== 0;
    assert.ok(moved('visual.transformer.resblocks.1.mlp.c_fc.weight'));
    const { settings } = await configurationOf('run');
    await succeeds([
      ...tinyCommand(student, folder.file('images'), folder.file('second-generation')),
      ...['--epochs', '1', '--seed', String(settings.seed + 1)],
    ]);
  });

  it('begins with "started" and warns about a warm-up that outlasts the run', async () => {
    const { stderr } = await succeeds([...command('warm'), '--warmup', '500']);
    assert.match(stderr, /^warning: the warm-up \(500 steps\) is as long as the whole run \(10 steps\)/m);
    assert.doesNotMatch(stderr, /resumed/);
    const found = await events('warm');
    assert.deepEqual(
      found.map(({ kind }) => kind),
      ['started', 'warning', 'finished'],
    );
    assert.match(found[1]!.message!, /^the warm-up \(500 steps\)/);
  });

  it('keeps the preview of the last step', async () => {
    const { preview } = runFiles(folder.file('run'));
    const content = (await readJson(preview)) as Record<string, unknown> & {
      boxes: number[][];
      cosines: number[];
    };
    assert.equal(content.step, 10);
    assert.ok(String(content.image).startsWith(`${folder.file('images')}/image-`));
    assert.equal(content.boxes.length, content.cosines.length);
    for (const [x0, y0, x1, y1] of content.boxes)
      assert.ok(x0! >= 0 && y0! >= 0 && x1! <= Number(content.width) && y1! <= Number(content.height));
  });
});
