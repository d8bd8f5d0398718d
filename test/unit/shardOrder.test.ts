import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { batchOf, shareOf, stepsPerEpoch, takerOf } from '../../trainer/distill/sampler.ts';
import { buildBatch } from '../../trainer/images/batch.ts';
import { BatchLoader, type BatchLoaderSettings } from '../../trainer/images/batchLoader.ts';
import { readImage, ShardStream } from '../../trainer/images/imageReader.ts';
import { packMembers, selectMembers } from '../../trainer/images/memberStore.ts';
import { clipNormalisation } from '../../trainer/images/normalise.ts';
import { shardOrder } from '../../trainer/images/shardOrder.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { type ImageSource, openImageSource } from '../../trainer/shards/imageSource.ts';
import { pngBytes, tarMember, tarOf, writeTinyShards } from '../support/shards.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

/** `shards` shards of `each` images of about `size` bytes; nothing of them exists. */
function madeUp(shards: number, each: number, size: number) {
  const random = keyedRandom(1);
  return packMembers(
    Array.from({ length: shards }, (_, shard) => {
      let offset = 0;
      const members = Array.from({ length: each }, () => {
        const member = { offset: offset + 512, size: Math.round(size * (0.5 + random.float())) };
        offset = Math.ceil((member.offset + member.size) / 512) * 512;
        return member;
      });
      return { file: `${shard}.tar`, members };
    }),
  );
}

const sorted = (images: Iterable<number>) => [...images].sort((a, b) => a - b);

describe('the order of images in shards', () => {
  const members = madeUp(8, 50, 1000);
  const every = [...Array(400).keys()];

  it('has every image once, follows from the seed and differs by epoch', () => {
    const { train } = shardOrder(1, 0, members);
    assert.deepEqual(sorted(train), every);
    assert.deepEqual(shardOrder(1, 0, members).train, train);
    assert.notDeepEqual(shardOrder(1, 1, members).train, train);
    assert.notDeepEqual(shardOrder(2, 0, members).train, train);
    assert.notDeepEqual([...train], every);
  });

  it('reads each shard from front to back, shards in another order each epoch', () => {
    const firsts = new Set<number>();
    for (let epoch = 0; epoch < 20; epoch++) {
      const { read } = shardOrder(1, epoch, members);
      firsts.add(members.shardOf[read[0]!]!);
      assert.deepEqual(sorted(read), every);
      for (let place = 1; place < read.length; place++)
        if (members.shardOf[read[place]!] === members.shardOf[read[place - 1]!])
          assert.equal(read[place], read[place - 1]! + 1);
    }
    assert.ok(firsts.size > 3);
  });

  it('keeps its buffer within images and bytes', () => {
    for (const buffer of [
      { images: 30, bytes: 1e9 },
      { images: 1e9, bytes: 20_000 },
      { images: 1, bytes: 1 },
    ]) {
      const { read, train } = shardOrder(5, 0, members, buffer);
      const readAt = new Map([...read].map((image, place) => [image, place]));
      let furthest = 0;
      for (const [position, image] of train.entries()) {
        furthest = Math.max(furthest, readAt.get(image)! + 1);
        const waiting = new Set(read.subarray(0, furthest));
        for (const done of train.subarray(0, position)) waiting.delete(done);
        assert.ok(waiting.size <= buffer.images);
        const bytes = [...waiting].reduce((sum, other) => sum + members.sizes[other]!, 0);
        assert.ok(bytes <= Math.max(buffer.bytes, 0) + 1500);
      }
    }
  });

  it('mixes images of neighbouring places', () => {
    const { train } = shardOrder(3, 0, members);
    const neighbours = [...train].filter(
      (image, place) => place > 0 && image === train[place - 1]! + 1,
    ).length;
    assert.ok(neighbours < 20, `${neighbours} of 400 follow their neighbour`);
  });

  it('of some of the images is of those', () => {
    const kept = every.filter(image => image % 3 === 0);
    const { train } = shardOrder(1, 0, selectMembers(members, kept));
    assert.deepEqual(sorted(train), [...kept.keys()]);
  });

  it('is of as many images as COCO has', () => {
    const coco = madeUp(118, 1000, 160_000);
    assert.equal(shardOrder(1, 0, coco).train.length, 118_000);
  });

  for (const ranks of [1, 2, 4, 7])
    it(`is shared by ${ranks} ranks without overlap, and together they take all`, () => {
      // A step whose images do not divide evenly among four or seven ranks.
      const [count, batch] = [200, 10];
      const taken: number[] = [];
      for (let step = 0; step < stepsPerEpoch(count, batch); step++)
        for (let rank = 0; rank < ranks; rank++)
          for (const position of shareOf(batchOf(step, batch, count), { rank, ranks }).positions) {
            taken.push(position);
            assert.deepEqual(takerOf(0, position, batch, count, ranks), { step, rank });
          }
      // What does not fill a batch of all ranks waits for the next epoch.
      assert.deepEqual(taken, [...Array(taken.length).keys()]);
      assert.ok(taken.length > count - batch && taken.length <= count);
      for (let position = taken.length; position < count; position++)
        assert.equal(takerOf(0, position, batch, count, ranks), null);
    });
});

describe('images streamed from shards', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  let source: ImageSource;
  let settings: BatchLoaderSettings;
  before(async () => {
    folder = await temporaryFolder();
    await writeTinyShards(folder.path, 23, 5);
    source = await openImageSource(folder.file('{0000..0004}.tar'));
    const { files, members } = source;
    const size = { size: 64, cropSize: 32, patchSize: 8, maxSplit: 3, maxBoxes: 9, cropScale: 1 };
    settings = { files, members, seed: 4, batch: 2, ...size, normalisation: clipNormalisation };
  });
  after(() => folder.remove());

  const steps = async (settings: BatchLoaderSettings, from: number, to: number) => {
    const loader = new BatchLoader(settings);
    try {
      const batches = [];
      for (let step = from; step < to; step++) batches.push(await loader.next(step));
      return batches;
    } finally {
      await loader.dispose();
    }
  };

  it('come in the order of the epoch, whatever the reader takes of them', async () => {
    const { train } = shardOrder(4, 1, source.members!);
    for (const [from, wanted] of [
      [0, () => true],
      [9, () => true],
      [0, (position: number) => position % 3 === 1],
    ] as const) {
      const stream = new ShardStream(source.files, source.members!, 4, (_, position) => wanted(position));
      let most = 0;
      for (let position = from; position < train.length; position++) {
        if (!wanted(position)) continue;
        assert.deepEqual(await stream.take(1, position), await readImage(source, train[position]!));
        most = Math.max(most, stream.kept.images);
      }
      assert.deepEqual(stream.kept, { images: 0, bytes: 0 });
      assert.ok(most > 2);
      // Again, and out of turn.
      assert.deepEqual(await stream.take(1, 5), await readImage(source, train[5]!));
      await stream.close();
    }
  });

  it('give the same batches on one thread, on three, and built here, over the end of an epoch', async () => {
    const here = [];
    for (let step = 0; step < 25; step++)
      here.push(await buildBatch({ ...settings, ...batchOf(step, 2, source.files.length) }));
    assert.deepEqual(await steps(settings, 0, 25), here);
    assert.deepEqual(await steps({ ...settings, threads: 3 }, 0, 25), here);
  });

  it('go on at any step as if they had never stopped', async () => {
    const whole = await steps(settings, 0, 16);
    for (const from of [1, 6, 10, 11, 13])
      assert.deepEqual(await steps({ ...settings, threads: 2 }, from, 16), whole.slice(from));
  });

  it('give ranks together what one rank takes, and another number of ranks goes on in the same order', async () => {
    const names = (batches: Awaited<ReturnType<typeof steps>>) =>
      batches.map(({ sources }) => sources.map(({ file }) => file));
    const single = names(await steps({ ...settings, batch: 4 }, 0, 9));
    const [first, second] = await Promise.all(
      [0, 1].map(rank => steps({ ...settings, batch: 4, share: { rank, ranks: 2 } }, 0, 9)),
    );
    const joined = names(first!).map((images, step) => [...images, ...names(second!)[step]!]);
    assert.deepEqual(joined, single);
    const four = await Promise.all(
      [0, 1, 2, 3].map(rank => steps({ ...settings, batch: 4, share: { rank, ranks: 4 } }, 6, 9)),
    );
    const rest = [0, 1, 2].map(step => four.flatMap(batches => names(batches)[step]!));
    assert.deepEqual(rest, single.slice(6));
    assert.equal(new Set(single.slice(0, 5).flat()).size, 20);
  });

  it('replace a member that cannot be decoded or read, and name it', async () => {
    const images = await Promise.all([1, 2, 3, 4].map(pngBytes));
    images[1] = Buffer.from('no picture');
    const file = folder.file('bad.tar');
    await writeFile(file, tarOf(...images.map((bytes, number) => tarMember(`${number}.png`, bytes))));
    const { files, members } = await openImageSource(file);
    await truncate(file, members!.offsets[3]! + 10);
    const skipped = (await steps({ ...settings, files, members }, 0, 2)).flatMap(batch => batch.skipped);
    const reasons = new Map(skipped.map(({ file: name, reason }) => [name.slice(file.length + 1), reason]));
    assert.deepEqual([...reasons.keys()].sort(), ['1.png', '3.png']);
    assert.match(reasons.get('1.png')!, /not a JPEG, PNG/);
    assert.match(reasons.get('3.png')!, /become shorter: it ends at byte \d+, within the image/);
  });
});
