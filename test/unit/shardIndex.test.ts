import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { readImage } from '../../trainer/images/imageReader.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { openImageSource } from '../../trainer/shards/imageSource.ts';
import { indexShard } from '../../trainer/shards/shardIndex.ts';
import { findShards, isShardPattern, splitPatterns } from '../../trainer/shards/shardPattern.ts';
import { writeShards } from '../../trainer/shards/writeShards.ts';
import { tarEnd, tarMember, tarOf, writeTinyShards } from '../support/shards.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);
const content = (number: number, bytes = 700) => Buffer.alloc(bytes, number);

describe('a tar shard', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  async function store(name: string, bytes: Buffer): Promise<string> {
    await writeFile(folder.file(name), bytes);
    return folder.file(name);
  }

  async function assertContents(file: string, expected: Record<string, Buffer>): Promise<void> {
    const source = await openImageSource(file);
    const found = await Promise.all(
      source.files.map(async (name, image) => [name.slice(file.length + 1), await readImage(source, image)]),
    );
    assert.deepEqual(Object.fromEntries(found), expected);
  }

  it('gives its images by their extension and passes over everything else', async () => {
    const file = await store(
      'a.tar',
      tarOf(
        tarMember('x/1.JPG', content(1)),
        tarMember('x/1.txt', content(2, 5000)),
        tarMember('x/1.json', content(3)),
        tarMember('._x/._2.png', content(4)),
        tarMember('2.png', content(5, 512)),
      ),
    );
    await assertContents(file, { 'x/1.JPG': content(1), '2.png': content(5, 512) });
  });

  for (const format of ['ustar', 'gnu', 'posix'] as const) {
    it(`of the system's tar in the format ${format}, with long names`, async function () {
      const [long, short] = [`${'folder-'.repeat(10)}/${'name-'.repeat(18)}.png`, 'b.png'];
      await mkdir(path.dirname(folder.file(long)), { recursive: true });
      await store(long, content(1, 3000));
      await store(short, content(2, 10));
      const longer = `${'l'.repeat(150)}.png`;
      const names = format === 'ustar' ? [long, short] : [long, longer, short];
      await store(longer, content(3, 100));
      const file = folder.file('system.tar');
      try {
        await promisify(execFile)('tar', [`--format=${format}`, '-cf', file, '-C', folder.path, ...names]);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        skipBecause(this, 'there is no tar here to write the file');
      }
      const expected = { [long]: content(1, 3000), [short]: content(2, 10), [longer]: content(3, 100) };
      if (format === 'ustar') delete expected[longer];
      await assertContents(file, expected);
    });
  }

  it('reads names of its own that need a pax header', async () => {
    const name = `${'ä'.repeat(120)}/${'b'.repeat(120)}.png`;
    const file = await store('own.tar', tarOf(tarMember(name, content(1)), tarMember('z.png', content(2))));
    await assertContents(file, { [name]: content(1), 'z.png': content(2) });
  });

  it('goes on over the end marks of joined archives', async () => {
    const file = await store(
      'joined.tar',
      Buffer.concat([tarOf(tarMember('a.png', content(1))), tarOf(tarMember('b.png', content(2)))]),
    );
    await assertContents(file, { 'a.png': content(1), 'b.png': content(2) });
  });

  it('leaves out a member with a damaged header, and counts it', async () => {
    const members = [1, 2, 3].map(number => tarMember(`${number}.png`, content(number, 5000)));
    members[1]![150]! ^= 1;
    const file = await store('damaged.tar', tarOf(...members));
    const { members: found, damage } = await indexShard(file);
    assert.deepEqual(
      found.map(({ name }) => name),
      ['1.png', '3.png'],
    );
    assert.deepEqual(damage, [`${file} at byte ${members[0]!.length}: the header of a member is damaged`]);
  });

  it('names a truncated shard and where it ends', async () => {
    const whole = tarOf(tarMember('a.png', content(1)), tarMember('b.png', content(2)));
    const inContent = await store('content.tar', whole.subarray(0, 1536 + 512 + 100));
    await assert.rejects(indexShard(inContent), {
      name: 'FileError',
      message: `${inContent}: the shard is truncated: it ends after 2148 bytes, within 'b.png' that begins at byte 1536. Fetch the shard again, or leave it out of --images`,
    });
    const inHeader = await store('header.tar', whole.subarray(0, 1536 + 100));
    await assert.rejects(
      indexShard(inHeader),
      /ends after 1636 bytes, within the header of a member .* 1536/,
    );
  });

  it('refuses what is no shard with images', async () => {
    const bytes = tarOf(tarMember('a.png', content(1)));
    await assert.rejects(indexShard(await store('a.tar', gzipSync(bytes))), /it is compressed.*gunzip/);
    await assert.rejects(indexShard(await store('b.tar', Buffer.alloc(4096, 7))), /not a tar archive/);
    await assert.rejects(indexShard(await store('c.tar', tarEnd)), /no members/);
    await assert.rejects(indexShard(await store('d.tar', Buffer.alloc(0))), /no members/);
    await assert.rejects(indexShard(folder.file('none.tar')), /no such file/);
    const texts = await store('e.tar', tarOf(tarMember('a.txt', content(1))));
    await assert.rejects(openImageSource(texts), /the shards hold no images/);
  });

  it('keeps names out of paths', async () => {
    const file = await store(
      'evil.tar',
      tarOf(tarMember('../../etc/a.png', content(1)), tarMember('/root/b.png', content(2))),
    );
    const source = await openImageSource(file);
    for (const place of source.paths)
      assert.ok(path.relative(source.root, place).split(path.sep)[0] !== '..');
    assert.deepEqual(await readImage(source, 0), content(1));
  });

  it('survives any damage: an index, or one error, soon and in little memory', async () => {
    const members = Array.from({ length: 12 }, (_, number) =>
      tarMember(number % 4 === 3 ? `${'n'.repeat(200)}${number}.png` : `${number}.png`, content(number, 900)),
    );
    const whole = tarOf(...members);
    const headers = new Set<number>();
    let [position, indexed] = [0, 0];
    for (const member of members) {
      headers.add(position);
      position += member.length;
    }
    for (let round = 0; round < 600; round++) {
      const random = keyedRandom(seed, 'fuzz', round);
      const bytes = Buffer.from(whole);
      for (let flip = random.uint(4); flip >= 0; flip--) {
        // Every other flip falls into a header.
        const start = [...headers][random.uint(headers.size)]!;
        const at = random.uint(2) === 0 ? random.uint(bytes.length) : start + random.uint(512);
        bytes[at]! ^= 1 << random.uint(8);
      }
      const cut = random.uint(3) === 0 ? random.uint(bytes.length) : bytes.length;
      const file = await store('fuzz.tar', bytes.subarray(0, cut));
      try {
        const { members: found } = await indexShard(file);
        indexed++;
        assert.ok(found.length <= members.length);
        for (const { offset, size } of found) assert.ok(offset >= 512 && offset + size <= cut);
      } catch (error) {
        const message = `seed ${seed}, round ${round}: ${error}`;
        assert.equal((error as Error).name, 'FileError', message);
      }
    }
    assert.ok(indexed > 100, `${indexed} of 600 were indexed`);
  });

  it('is named by ranges, wildcards and lists', async () => {
    const files = await writeTinyShards(folder.path, 12, 3);
    const names = async (pattern: string) => (await findShards(pattern)).map(file => path.basename(file));
    assert.deepEqual(await findShards(folder.file('{0000..0003}.tar')), files);
    assert.deepEqual(await names(folder.file('000?.tar')), ['0000.tar', '0001.tar', '0002.tar', '0003.tar']);
    assert.deepEqual(await names(`${folder.file('{0002,0001}.tar')}, ${folder.file('*2.tar')}`), [
      '0002.tar',
      '0001.tar',
    ]);
    await assert.rejects(findShards(folder.file('{0000..0004}.tar')), /0004.tar: there is no such shard/);
    await assert.rejects(findShards(folder.file('x*.tar')), /no shard matches/);
    await assert.rejects(findShards('a.tar.gz'), /it is compressed/);
    await assert.rejects(findShards(folder.file(`${'*'.repeat(60)}{1..200000}.tar`)), /no shard matches/);
    assert.deepEqual(splitPatterns('a/{1,2}.tar, b.tar,'), ['a/{1,2}.tar', 'b.tar']);
    assert.deepEqual(['a.tar', 'a.TAR,b.tgz', 'a', 'a.tar,b', '', 'a.json'].map(isShardPattern), [
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it('is written from a folder: the same bytes each time, bounded, and never over what is there', async () => {
    const contents: Record<string, Buffer> = {};
    for (let number = 0; number < 10; number++) {
      const name = number % 2 === 0 ? `${number}.png` : `${'sub'.repeat(50)}/${'n'.repeat(120)}${number}.jpg`;
      contents[name] = content(number + 1, 3000 + number);
      await mkdir(path.dirname(folder.file(`in/${name}`)), { recursive: true });
      await store(`in/${name}`, contents[name]!);
    }
    await store('in/empty.png', Buffer.alloc(0));
    const { root, files } = await openImageSource(folder.file('in'));
    const warnings: string[] = [];
    const tell = {
      progress: () => {},
      warn: (message: string) => warnings.push(message),
      stopped: () => false,
    };
    const write = (out: string) =>
      writeShards({ root, files, out: folder.file(out), sizeLimit: 16_000, seed: 3 }, tell);
    const written = await write('out');
    assert.equal(written!.images, 10);
    assert.match(warnings.join(), /^left out .*empty.png: the file is empty$/);
    const shards = await findShards(folder.file('out/*.tar'));
    assert.equal(written!.shards, shards.length);
    assert.ok(shards.length >= 3);
    const found: Record<string, Buffer> = {};
    for (const shard of shards) {
      assert.ok((await readFile(shard)).length <= 16_000);
      const source = await openImageSource(shard);
      for (const [image, file] of source.files.entries())
        found[file.slice(shard.length + 1)] = await readImage(source, image);
    }
    assert.deepEqual(found, contents);
    await write('again');
    for (const shard of shards)
      assert.ok((await readFile(shard)).equals(await readFile(shard.replace('/out/', '/again/'))));
    await assert.rejects(write('out'), /the folder is not empty/);
    const stopped = { ...tell, stopped: () => true };
    const request = { root, files, out: folder.file('stopped'), sizeLimit: 16_000, seed: 3 };
    assert.equal(await writeShards(request, stopped), null);
    assert.deepEqual((await readdir(folder.path)).sort(), ['again', 'in', 'out']);
  });
});
