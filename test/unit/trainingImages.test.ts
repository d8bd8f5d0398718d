import assert from 'node:assert/strict';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { readRunConfiguration } from '../../trainer/runs/runConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { planRun } from '../../trainer/training/runPlan.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  tinyCommand,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('a training run with images that cannot be used among good ones', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;

  const command = (run: string, images: string) => [
    ...tinyCommand(folder.file('model'), folder.file(images), folder.file(run)),
    ...['--epochs', '2'],
  ];
  const succeeds = async (args: readonly string[]) => {
    const ended = await runTrainer(args);
    assert.equal(ended.status, 0, ended.stderr);
    return ended;
  };

  const bad = ['cut.png', 'text.jpg', 'empty.png', 'tiny.png'];
  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    const images = folder.file('mixed');
    await writeTinyImages(images, 12);
    await writeTinyImages(folder.file('spare'), 1);
    await writeFile(path.join(images, 'cut.png'), await readFile(folder.file('spare/image-00.png')));
    await truncate(path.join(images, 'cut.png'), 60);
    await writeFile(path.join(images, 'text.jpg'), 'this is no image');
    await writeFile(path.join(images, 'empty.png'), '');
    await sharp({ create: { width: 6, height: 50, channels: 3, background: 'red' } })
      .png()
      .toFile(path.join(images, 'tiny.png'));
  });

  after(() => folder.remove());

  const warnings = async (run: string) =>
    (await readMetricHistory(runFiles(folder.file(run)).metrics)).events
      .filter(({ event }) => event.kind === 'warning')
      .map(({ event }) => event.message!);

  it('skips, counts and names them', async () => {
    const { stderr } = await succeeds([...command('mixed-run', 'mixed'), '--hold-out', '0']);
    const messages = await warnings('mixed-run');
    assert.equal(messages.length, bad.length, messages.join('\n'));
    const log = await readFile(runFiles(folder.file('mixed-run')).log, 'utf8');
    for (const name of bad) {
      const message = messages.find(text => text.startsWith(`skipped ${folder.file('mixed')}/${name}: `));
      assert.ok(message, `${name} in ${messages.join('\n')}`);
      assert.ok(log.includes(`[warning] ${message}`), log);
      assert.ok(stderr.includes(`warning: ${message}\n`), stderr);
    }
    const counts = messages.map(message => /\((\d+) so far\)$/.exec(message)?.[1]);
    assert.deepEqual(counts, ['1', '2', '3', '4']);
    const { steps } = await readMetricHistory(runFiles(folder.file('mixed-run')).metrics);
    assert.equal(steps.length, 2 * 8);
  });

  it('leaves unreadable held-out images out of the evaluation', async () => {
    const { stderr } = await succeeds([...command('held', 'mixed'), '--hold-out', '12']);
    const messages = await warnings('held');
    for (const name of bad)
      assert.ok(
        messages.some(text => text.startsWith(`skipped ${folder.file('mixed')}/${name}: `)),
        messages.join('\n'),
      );
    const { evaluations } = await readMetricHistory(runFiles(folder.file('held')).metrics);
    assert.equal(evaluations.length, 3);
    for (const { eval: record } of evaluations) assert.ok(Math.abs(record['heldOut.cosine']!) <= 1);
    // Each image that can be used counts with its own patches, at most 4, and once.
    const usable = (await heldOutFiles('held')).filter(file => !bad.includes(path.basename(file))).length;
    assert.ok(usable > 0 && usable < 12);
    const counts = [...stderr.matchAll(/on (\d+) held-out patches$/gm)].map(match => Number(match[1]));
    assert.equal(counts.length, 3);
    for (const count of counts)
      assert.ok(count >= usable && count <= 4 * usable, `${count} of ${usable} images`);
  });

  it('trains on when no held-out image can be used', async () => {
    const images = folder.file('later');
    await writeTinyImages(images, 12);
    const args = [
      ...command('unheld', 'later'),
      '--hold-out',
      '2',
      '--epochs',
      '4',
      '--checkpoint-every',
      '1',
    ];
    const { stdout } = await succeeds([...args, '--json']);
    assert.notEqual((JSON.parse(stdout) as { after: number | null }).after, null);
    // Which images are held out follows from the seed: those that the finished run has not been trained on.
    const heldOut = await heldOutFiles('unheld');
    assert.equal(heldOut.length, 2);
    for (const file of heldOut) await writeFile(file, 'spoilt');
    const again = await succeeds([
      ...args.with(args.indexOf('--out') + 1, folder.file('unheld-2')),
      '--json',
    ]);
    const outcome = JSON.parse(again.stdout) as {
      state: string;
      before: number | null;
      after: number | null;
    };
    assert.deepEqual([outcome.state, outcome.before, outcome.after], ['finished', null, null]);
    assert.match(again.stderr, /^warning: skipped the held-out images: None of the 2 images can be used/m);
    const students = ['unheld', 'unheld-2'].map(run => readFile(runFiles(folder.file(run)).student));
    const [one, two] = await Promise.all(students);
    assert.ok(one!.equals(two!), 'the held-out images have changed the training');
  });

  async function heldOutFiles(run: string): Promise<string[]> {
    const { settings } = await readRunConfiguration(runFiles(folder.file(run)).configuration);
    return [...(await planRun(settings)).heldOut.files];
  }
});
