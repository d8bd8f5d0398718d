import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pretrainCommand } from '../../trainer/commands/pretrain.ts';
import { worldCommand } from '../../trainer/commands/world.ts';
import { zeroShotCommand } from '../../trainer/commands/zeroShot.ts';
import { SettingError } from '../../trainer/training/settings.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { thingClasses } from '../../trainer/world/classes.ts';
import { styleNames } from '../../trainer/world/styles.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const demo = path.resolve('media/demo/model');

describe('commands of Emoji World', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  before(async () => {
    folder = await temporaryFolder();
  });
  after(() => folder.remove());

  it('world writes a data set and says where', async () => {
    const out = folder.file('world');
    const args =
      '--count 2 --size 64 --things 3-4 --styles noto --seed 9 --thing-size 0.3-.55 --overlap 0 --json'.split(
        ' ',
      );
    assert.deepEqual(JSON.parse(await printed(() => worldCommand(['--out', out, ...args]))), {
      directory: out,
      scenes: 2,
    });
    const { info, images } = JSON.parse(await readFile(path.join(out, 'instances.json'), 'utf8'));
    assert.deepEqual([info.seed, info.fewestThings, info.mostThings, images.length], [9, 3, 4, 2]);
    assert.deepEqual([info.smallestThing, info.largestThing, info.overlap], [0.3, 0.55, 0]);
  });

  it('world refuses what it cannot do', async () => {
    await assert.rejects(worldCommand([]), UsageError);
    const out = folder.file('refused');
    for (const [option, value, message] of [
      ['--count', '0', /--count takes a whole number from 1/],
      ['--size', '47', /--size takes a whole number from 48/],
      ['--things', '9-4', /--things takes two numbers/],
      ['--thing-size', '0.5-0.2', /--thing-size takes two shares/],
      ['--thing-size', '0.5', /--thing-size takes two shares/],
      ['--overlap', '1.2', /--overlap takes a number from 0 to 1/],
      ['--styles', 'noto,chalk', /got 'chalk'/],
    ] as const)
      await assert.rejects(worldCommand(['--out', out, option, value]), error => {
        assert.ok(error instanceof SettingError);
        assert.match(error.message, message);
        return true;
      });
    await assert.rejects(readFile(out), { code: 'ENOENT' });
  });

  it('zero-shot finds that the model that ships knows most of the 64 things', async () => {
    const args = ['--model', demo, '--styles', 'noto,twemoji', '--crops', '256', '--threads', '1'];
    const scores = JSON.parse(await printed(() => zeroShotCommand([...args, '--json'])));
    assert.ok(scores['zeroShot.noto'] > 0.5, `noto: ${scores['zeroShot.noto']}`);
    assert.ok(scores['zeroShot.twemoji'] > 0.4, `twemoji: ${scores['zeroShot.twemoji']}`);
    assert.equal(scores['zeroShot.trained'], scores['zeroShot.noto']);
    assert.equal(scores['zeroShot.heldOut'], scores['zeroShot.twemoji']);
    const text = await printed(() => zeroShotCommand(args));
    assert.match(text, /^noto +\d+\.\d %$/m);
    assert.match(text, /^twemoji +\d+\.\d % {2}held out of training$/m);
    const [, worst] = /^known least: (.*)$/m.exec(text)!;
    assert.equal(worst!.split(', ').length, 8);
    assert.ok(thingClasses.some(({ name }) => worst!.startsWith(name)));
    await assert.rejects(zeroShotCommand([]), UsageError);
  });

  it('pretrain says what it needs and what there is', async () => {
    const help = await printed(() => pretrainCommand(['--help']));
    for (const style of styleNames) assert.ok(help.includes(style));
    assert.match(help, /--lr +highest learning rate; 0 … 10, default 0\.0015/);
    await assert.rejects(pretrainCommand([]), UsageError);
    await assert.rejects(
      pretrainCommand(['--resume', 'x', '--lr', '1']),
      /--resume takes all settings from the run; leave out --lr/,
    );
    await assert.rejects(pretrainCommand(['--out', folder.file('run'), '--steps', 'many']), SettingError);
    await assert.rejects(pretrainCommand(['--resume', folder.file('run')]), /run/);
  });
});
