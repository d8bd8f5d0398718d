import assert from 'node:assert/strict';
import { copyFile, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { epochOrder } from '../../trainer/distill/sampler.ts';
import { type BatchRequest, buildBatch } from '../../trainer/images/batch.ts';
import { clipNormalisation } from '../../trainer/images/normalise.ts';
import { fixturePath, goldenFloats, readGolden } from '../support/goldenTensors.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

const goodFiles = ['a.png', 'b.png', 'gray.png', 'j420.jpg', 'pal.png', 'rgba.png'].map(name =>
  fixturePath(`preprocess/${name}`),
);

function request(overrides: Partial<BatchRequest> = {}): BatchRequest {
  return {
    files: goodFiles,
    seed: 0,
    epoch: 0,
    positions: [0, 1],
    size: 64,
    cropSize: 32,
    patchSize: 8,
    maxSplit: 6,
    maxBoxes: 20,
    cropScale: 1,
    normalisation: clipNormalisation,
    ...overrides,
  };
}

async function flat(name: string, width: number, height: number): Promise<string> {
  const background = { r: 120, g: 30, b: 200 };
  await sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toFile(folder.file(name));
  return folder.file(name);
}

describe('buildBatch', () => {
  it('gives tensors of the stated shapes, in the order of the epoch', async () => {
    const batch = await buildBatch(request({ positions: [2, 3, 4] }));
    const patches = batch.boxCounts.reduce((sum, count) => sum + count, 0);
    assert.equal(batch.images.length, 3 * 3 * 64 * 64);
    assert.equal(batch.crops.length, patches * 3 * 32 * 32);
    assert.equal(batch.pooling.length, 3 * 20 * 64);
    const order = epochOrder(0, 0, goodFiles.length);
    const expected = [2, 3, 4].map(position => goodFiles[order[position]!]);
    assert.deepEqual(
      batch.sources.map(source => source.file),
      expected,
    );
    batch.sources.forEach((source, image) => {
      assert.equal(source.boxes.length, batch.boxCounts[image]);
      assert.equal(source.boxes.length, Math.min(source.rows * source.columns, 20));
      for (let row = 0; row < 20; row++) {
        const weights = batch.pooling.subarray((image * 20 + row) * 64, (image * 20 + row + 1) * 64);
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        assert.ok(Math.abs(total - (row < source.boxes.length ? 1 : 0)) < 1e-5);
      }
    });
    assert.deepEqual(batch.skipped, []);
  });

  it('equals the published preprocessing', async () => {
    const golden = readGolden('preprocess/transforms.safetensors');
    const batch = await buildBatch(request({ files: goodFiles.slice(0, 1), positions: [0], maxSplit: 1 }));
    assert.deepEqual(batch.images, goldenFloats(golden, 'a/student64/f32').data);
    assert.deepEqual(batch.crops, goldenFloats(golden, 'a/teacher_full32/f32').data);
    assert.deepEqual(batch.sources[0]?.boxes, [[0, 0, 97, 61]]);
  });

  it('repeats to the bit and differs between epochs and positions', async () => {
    const first = await buildBatch(request());
    assert.deepEqual(await buildBatch(request()), first);
    const alone = await buildBatch(request({ positions: [1] }));
    assert.deepEqual(alone.sources[0], first.sources[1]);
    assert.notDeepEqual((await buildBatch(request({ epoch: 1 }))).sources, first.sources);
    assert.notDeepEqual((await buildBatch(request({ seed: 1 }))).sources, first.sources);
  });

  it('has ⌊size / patchSize⌋ cells a side', async () => {
    const batch = await buildBatch(request({ positions: [0], patchSize: 14 }));
    assert.equal(batch.pooling.length, 20 * 4 * 4);
  });

  it('draws one size of the student image for each batch', async () => {
    const sizes = new Set<number>();
    const plain = await buildBatch(request());
    for (let epoch = 0; epoch < 12; epoch++) {
      const batch = await buildBatch(request({ epoch, scales: [32, 48, 64] }));
      sizes.add(batch.size);
      assert.equal(batch.images.length, 2 * 3 * batch.size ** 2);
      assert.equal(batch.pooling.length, 2 * 20 * (batch.size / 8) ** 2);
      // Regions and what the teacher sees of them stay as they are.
      if (epoch === 0) assert.deepEqual(batch.crops, plain.crops);
      if (epoch === 0) assert.deepEqual(batch.sources, plain.sources);
    }
    assert.deepEqual([...sizes].sort(), [32, 48, 64]);
  });

  it('gives whole images as the teacher sees them where they are wanted', async () => {
    const golden = readGolden('preprocess/transforms.safetensors');
    const only = { files: goodFiles.slice(0, 1), positions: [0] };
    const { wholes } = await buildBatch(request({ ...only, wholeImages: true }));
    assert.deepEqual(wholes, goldenFloats(golden, 'a/teacher_full32/f32').data);
    assert.equal((await buildBatch(request(only))).wholes.length, 0);
  });

  it('replaces images that cannot be used and names them', async () => {
    await writeFile(folder.file('empty.jpg'), '');
    await writeFile(folder.file('text.png'), 'text');
    const tiny = await flat('tiny.png', 9, 40);
    await copyFile(goodFiles[0]!, folder.file('good.png'));
    const files = [folder.file('empty.jpg'), folder.file('text.png'), tiny, folder.file('good.png')];
    const batch = await buildBatch(request({ files, positions: [0, 1, 2, 3] }));
    assert.deepEqual(
      batch.sources.map(source => source.file),
      new Array(4).fill(files[3]),
    );
    const reasons = new Map(batch.skipped.map(({ file, reason }) => [file, reason]));
    assert.deepEqual([...reasons.keys()].sort(), files.slice(0, 3).sort());
    assert.match(reasons.get(tiny)!, /^9×40 pixels are too few: each side needs 10$/);
    assert.deepEqual(await buildBatch(request({ files, positions: [0, 1, 2, 3] })), batch);
  });

  it('says when no image can be used', async () => {
    await writeFile(folder.file('text.png'), 'text');
    const files = [folder.file('text.png'), await flat('tiny.png', 5, 5), folder.file('absent.jpg')];
    await assert.rejects(
      buildBatch(request({ files, positions: [0] })),
      /^Error: None of the 3 images can be used for training; the first one tried: .*(text|tiny|absent)/,
    );
    await assert.rejects(buildBatch(request({ files: [], positions: [0] })), /no images to train on/);
  });

  it('leaves out patches without pixels and replaces an image that has no other', async () => {
    // 12 × 900: the whole image fits into 32 pixels, one of six columns (2 × 900) does not.
    const long = await flat('long.png', 12, 900);
    let leftOut = 0;
    for (let epoch = 0; epoch < 40; epoch++) {
      const batch = await buildBatch(request({ files: [long, goodFiles[0]!], positions: [0, 1], epoch }));
      for (const { file, reason } of batch.skipped) {
        assert.equal(file, long);
        assert.match(reason, /too thin to be resized to 32 pixels/);
        leftOut++;
      }
      assert.ok(batch.boxCounts.every(count => count > 0));
    }
    assert.ok(leftOut > 0);
  });
});
