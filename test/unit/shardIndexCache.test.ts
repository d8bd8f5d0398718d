import assert from 'node:assert/strict';
import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { rememberedIndex } from '../../trainer/shards/indexCache.ts';
import { indexShard } from '../../trainer/shards/shardIndex.ts';
import { tarMember, tarOf } from '../support/shards.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const content = (number: number, bytes = 700) => Buffer.alloc(bytes, number);

describe('remembered shards', () => {
  let folder: TemporaryFolder;
  let shard: string;
  let cache: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
    [shard, cache] = [folder.file('a.tar'), folder.file('cache/shards')];
    await writeFile(
      shard,
      tarOf(
        tarMember('1.png', content(1)),
        tarMember('é.jpg', content(2)),
        tarMember('3.png', content(3, 0)),
      ),
    );
  });
  afterEach(() => folder.remove());
  const cached = async (): Promise<string> => folder.file(`cache/shards/${(await readdir(cache))[0]}`);

  it('are what reading them gives, and are not read again', async () => {
    const read = await indexShard(shard);
    assert.equal(read.damage.length, 1);
    assert.deepEqual(await rememberedIndex(shard, cache), read);
    // Something that only the memory can know.
    const file = await cached();
    await writeFile(file, (await readFile(file, 'utf8')).replace('1.png', 'x.png'));
    const again = await rememberedIndex(shard, cache);
    assert.deepEqual(
      again.members.map(({ name }) => name),
      ['x.png', 'é.jpg'],
    );
    assert.deepEqual([again.file, again.damage], [shard, read.damage]);
  });

  it('are read again when they were written anew, even with the same size and time', async () => {
    await rememberedIndex(shard, cache);
    const past = new Date('2026-01-01');
    await utimes(shard, past, past);
    await rememberedIndex(shard, cache);
    await rm(shard);
    await writeFile(
      shard,
      tarOf(
        tarMember('9.png', content(1)),
        tarMember('8.jpg', content(2)),
        tarMember('3.png', content(3, 0)),
      ),
    );
    await utimes(shard, past, past);
    assert.deepEqual(await rememberedIndex(shard, cache), await indexShard(shard));
  });

  it('are read again when the memory is damaged or lies', async () => {
    const read = await rememberedIndex(shard, cache);
    const file = await cached();
    const good = await readFile(file, 'utf8');
    for (const bad of [
      '',
      '{',
      '[]',
      good.replace('"schema":1', '"schema":2'),
      good.replace('512', '512000'),
      good.replace('700', '-700'),
      good.replace('700', '"700"'),
      good.replace('"damage"', '"damages"'),
    ]) {
      assert.notEqual(bad, good);
      await writeFile(file, bad);
      assert.deepEqual(await rememberedIndex(shard, cache), read);
      assert.equal(await readFile(file, 'utf8'), good);
    }
  });

  it('cost nothing but time where nothing can be remembered', async () => {
    await writeFile(folder.file('cache'), 'a file');
    assert.equal((await rememberedIndex(shard, cache)).members.length, 2);
    await assert.rejects(rememberedIndex(folder.file('missing.tar'), cache), /missing\.tar/);
  });
});
