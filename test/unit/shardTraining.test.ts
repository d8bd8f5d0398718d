import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { PreviewReader } from '../../extension/previewReader.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { pngBytes, tarMember, tarOf, writeTinyShards } from '../support/shards.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  startTrainer,
  tinyCommand,
  trainerProgram,
  waitForSteps,
  weightsOfRun,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('training on tar shards', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;
  let pattern: string;
  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyShards(folder.path, 14, 4);
    pattern = folder.file('{0000..0003}.tar');
  });
  after(() => folder.remove());

  const command = (run: string, images = pattern) => [
    ...tinyCommand(folder.file('model'), images, folder.file(run)),
    ...['--epochs', '10', '--checkpoint-every', '4', '--seed', '5'],
  ];
  const curve = async (run: string) =>
    (await readMetricHistory(runFiles(folder.file(run)).metrics)).steps.map(({ step, loss, gradNorm }) => [
      step,
      loss,
      gradNorm,
    ]);

  it('comes to the same bits when it is killed in the middle of epochs and resumed', async () => {
    const whole = await runTrainer(command('whole'));
    assert.equal(whole.status, 0, whole.stderr);
    let kills = 0;
    while (kills < 3) {
      const trainer = startTrainer(command('killed'));
      await waitForSteps(trainer, folder.file('killed'));
      await delay(37 * kills);
      trainer.child.kill('SIGKILL');
      const { signal, status, stderr } = await trainer.ended;
      assert.equal(signal, 'SIGKILL', `ended with status ${status}: ${stderr}`);
      kills++;
    }
    const resumed = await runTrainer(['--resume', folder.file('killed')]);
    assert.equal(resumed.status, 0, resumed.stderr);
    const [found, expected] = [
      await weightsOfRun(folder.file('killed')),
      await weightsOfRun(folder.file('whole')),
    ];
    assert.deepEqual([...found.keys()], [...expected.keys()]);
    for (const [name, content] of expected) assert.ok(found.get(name)!.equals(content), name);
    assert.deepEqual(await curve('killed'), await curve('whole'));
  });

  it('records how long it waited for images, and shows the last one from its shard', async () => {
    const files = runFiles(folder.file('whole'));
    const { steps } = await readMetricHistory(files.metrics);
    assert.ok(steps.every(({ dataWait }) => dataWait !== undefined && dataWait >= 0 && dataWait <= 1));
    const shown = await new PreviewReader(files.preview, () => true).read(true);
    const { image, member } = shown!.preview;
    assert.match(image, /000\d\.tar:0000\d\d\.png$/);
    const shard = await readFile(member!.shard);
    const bytes = shard.subarray(member!.offset, member!.offset + member!.size);
    assert.ok(bytes.equals(Buffer.from(shown!.imageBytes!)));
    assert.equal(shown!.imageType, 'image/png');
    const refused = await new PreviewReader(files.preview, file => !file.endsWith('.tar')).read(true);
    assert.match(refused!.imageProblem!, /Restricted Mode/);
  });

  it('leaves out damaged members, replaces undecodable ones, and says how many', async () => {
    const shard = await readFile(folder.file('0000.tar'));
    const bad = tarMember('bad.png', Buffer.from('no picture'));
    const damaged = tarMember('damaged.png', Buffer.alloc(2000, 1));
    damaged[120]! ^= 4;
    await writeFile(folder.file('mixed.tar'), tarOf(bad, damaged, shard.subarray(0, -1024)));
    const { status, stderr } = await runTrainer([
      ...tinyCommand(folder.file('model'), folder.file('mixed.tar'), folder.file('mixed')),
      ...['--epochs', '2', '--hold-out', '0', '--batch', '1'],
    ]);
    assert.equal(status, 0, stderr);
    const { events } = await readMetricHistory(runFiles(folder.file('mixed')).metrics);
    const warnings = events.flatMap(({ event: { kind, message } }) => (kind === 'warning' ? [message!] : []));
    const said = (pattern: RegExp) =>
      assert.ok(
        warnings.some(message => pattern.test(message)),
        warnings.join('\n'),
      );
    said(/^1 member of the shards left out$/);
    said(/mixed\.tar at byte 1024: the header of a member is damaged$/);
    said(/^skipped .*mixed\.tar:bad\.png: not a JPEG.*\(1 so far\)$/);
  });

  it('ends before it begins with one line for a truncated shard, and for one that is not there', async () => {
    const shard = await readFile(folder.file('0000.tar'));
    await writeFile(folder.file('short.tar'), shard.subarray(0, 3000));
    const short = await runTrainer(command('short', folder.file('short.tar')));
    assert.equal(short.status, 1);
    assert.match(
      short.stderr,
      /^clipself: .*short\.tar: the shard is truncated: it ends after 3000 bytes, within '.*' that begins at byte \d+\. .*\n$/,
    );
    const missing = await runTrainer(command('missing', folder.file('{0000..0004}.tar')));
    assert.match(missing.stderr, /^clipself: .*0004\.tar: there is no such shard\. .*\n$/);
  });

  it('trains on shards that clipself shard made', async () => {
    const unpacked = folder.file('images');
    await mkdir(unpacked);
    for (let number = 0; number < 6; number++)
      await writeFile(`${unpacked}/${number}.png`, await pngBytes(number));
    const made = await promisify(execFile)(process.execPath, [
      ...[trainerProgram, 'shard', '--images', unpacked, '--out', folder.file('made')],
      ...['--size-limit', '30KB'],
    ]);
    assert.match(made.stdout, /^6 images in \d+ shards, \d+ bytes: /);
    const { status, stderr } = await runTrainer([
      ...tinyCommand(folder.file('model'), `${folder.file('made')}/*.tar`, folder.file('from-made')),
      ...['--epochs', '1', '--hold-out', '0'],
    ]);
    assert.equal(status, 0, stderr);
  });
});
