import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { appendFile, cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { proposeCommand } from '../../trainer/commands/propose.ts';
import { pseudoLabelCommand } from '../../trainer/commands/pseudoLabel.ts';
import type { WrittenImage } from '../../trainer/propose/cocoWriter.ts';
import { PartialAnnotations, partialFileOf } from '../../trainer/propose/partialAnnotations.ts';
import { repositoryRoot } from '../support/browserPrerequisites.ts';
import { writeTinyWords } from '../support/evaluationFixture.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { textOf, writeTinyModel } from '../support/trainingFixture.ts';

describe('annotations that were interrupted', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;

  before(async () => {
    folder = await temporaryFolder();
    const samples = join(repositoryRoot, 'media/demo/images');
    await mkdir(folder.file('images'));
    const names = (await readdir(samples)).filter(name => name.endsWith('.jpg')).sort();
    for (const name of names.slice(0, 5)) await cp(join(samples, name), folder.file(`images/${name}`));
    await writeTinyModel(folder.file('model'));
    await writeTinyWords(folder.file('nouns.npy'));
    await appendFile(folder.file('nouns.txt'), 'sky\ngrass\ntree\nhouse\ncat\ndog\nsea\n');
  });
  after(() => folder.remove());

  const linesOf = (out: string): number => textOf(partialFileOf(out)).split('\n').length - 1;

  /** Runs a command and asks it to stop, as Ctrl-C does, once an image is done; what it printed. */
  async function interrupted(
    out: string,
    command: () => Promise<void>,
  ): Promise<{ state: string; done: number }> {
    const line = printed(command);
    while (linesOf(out) < 2) await sleep(1);
    process.emit('SIGTERM', 'SIGTERM');
    return JSON.parse(await line) as { state: string; done: number };
  }

  const commands = {
    propose: (out: string, ...more: string[]) =>
      // One thread, so that images come one by one however many cores there are.
      proposeCommand(['--images', folder.file('images'), '--out', out, '--json', '--threads', '1', ...more]),
    'pseudo-label': (out: string, ...more: string[]) =>
      pseudoLabelCommand([
        ...['--images', folder.file('images'), '--out', out, '--json', '--model', folder.file('model')],
        ...[
          '--classes',
          folder.file('nouns.txt'),
          '--embeddings',
          folder.file('nouns.npy'),
          '--threads',
          '1',
          ...more,
        ],
      ]),
  };

  for (const [name, command] of Object.entries(commands))
    it(`${name} goes on where it was, to the same bytes`, async () => {
      const whole = folder.file(`${name}-whole.json`);
      await printed(() => command(whole, '--count', '10'));
      assert.ok(!existsSync(partialFileOf(whole)));
      const out = folder.file(`${name}.json`);
      const { state, done } = await interrupted(out, () => command(out, '--count', '10'));
      assert.equal(state, 'stopped');
      assert.ok(done > 0 && done < 5, `${done} images were done`);
      assert.ok(!existsSync(out));
      await assert.rejects(
        command(out, '--count', '11'),
        /\.partial: it was begun with other settings: count is 10 there and 11 now\. Use the same settings/,
      );
      // Killed in the middle of a line.
      await appendFile(partialFileOf(out), '{"file":"torn');
      await printed(() => command(out, '--count', '10'));
      assert.equal(await readFile(out, 'utf8'), await readFile(whole, 'utf8'));
      assert.ok(!existsSync(partialFileOf(out)));
    });

  it('are not done again', async () => {
    const out = folder.file('kept.json');
    const partial = await PartialAnnotations.open(out, { count: 1 });
    const image = (file: string): WrittenImage => ({
      ...{ file, width: 4, height: 3 },
      regions: [{ box: [0.1, 0, 1 / 3, 2], category: 7, score: 0.5 }],
    });
    await partial.add(image('a.png'));
    await partial.close();
    const again = await PartialAnnotations.open(out, { count: 1 });
    assert.deepEqual([...again.done], ['a.png']);
    await again.add(image('b.png'));
    const images: WrittenImage[] = [];
    for await (const found of again.images()) images.push(found);
    assert.deepEqual(images, [image('a.png'), image('b.png')]);
    await again.close();
    await rm(partialFileOf(out));
  });

  it('are refused where the file is another’s', async () => {
    const out = folder.file('foreign.json');
    await appendFile(partialFileOf(out), 'something else\n');
    await assert.rejects(PartialAnnotations.open(out, {}), /it was not begun by this command/);
  });
});
