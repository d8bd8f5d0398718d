import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { batchOf } from '../../trainer/distill/sampler.ts';
import { buildBatch, type TrainingBatch } from '../../trainer/images/batch.ts';
import { BatchLoader, type BatchLoaderSettings } from '../../trainer/images/batchLoader.ts';
import { clipNormalisation } from '../../trainer/images/normalise.ts';
import { packRegions } from '../../trainer/images/regionStore.ts';
import { fixturePath } from '../support/goldenTensors.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

const settings: BatchLoaderSettings = {
  files: ['a.png', 'b.png', 'gray.png', 'j420.jpg', 'pal.png'].map(name => fixturePath(`preprocess/${name}`)),
  batch: 2,
  seed: 4,
  size: 64,
  cropSize: 32,
  patchSize: 8,
  maxSplit: 6,
  maxBoxes: 20,
  cropScale: 1,
  normalisation: clipNormalisation,
};

function built(step: number) {
  return buildBatch({ ...settings, ...batchOf(step, settings.batch, settings.files.length) });
}

/** Blocks this thread as native code does. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

describe('BatchLoader', function () {
  this.timeout(20_000);

  it('gives the same batches as building them here, over the end of an epoch', async () => {
    const loader = new BatchLoader({ ...settings, totalSteps: 5 });
    try {
      for (let step = 0; step < 5; step++) assert.deepEqual(await loader.next(step), await built(step));
    } finally {
      await loader.dispose();
    }
  });

  /** A mark beyond the numbers of a batch's crops, of which it has fewer than there is room for. */
  const markOf = ({ crops }: TrainingBatch): Uint32Array =>
    new Uint32Array(crops.buffer, crops.buffer.byteLength - 4, 1);

  /** Which memory a batch lies in, by the order of their first use. */
  const memoryOf = (batch: TrainingBatch, seen: number[]): number => {
    const mark = markOf(batch);
    if (mark[0] === 0) {
      mark[0] = seen.length + 1;
      seen.push(mark[0]);
    }
    return mark[0]!;
  };

  it('builds the same batches in the memory of those that were given back', async () => {
    const scaled = { ...settings, maxSplit: 2, scales: [48, 64, 80], wholeImages: true };
    const loader = new BatchLoader({ ...scaled, threads: 2, ahead: 2 });
    const builtAlone = (step: number) =>
      buildBatch({ ...scaled, ...batchOf(step, scaled.batch, scaled.files.length) });
    const seen: number[] = [];
    const uses: number[] = [];
    try {
      for (let step = 0; step < 16; step++) {
        const batch = await loader.next(step);
        uses.push(memoryOf(batch, seen));
        assert.deepEqual(batch, await builtAlone(step));
        loader.giveBack(step, batch);
      }
    } finally {
      await loader.dispose();
    }
    // One that is looked at, two ahead and one that was not back in time, at most.
    assert.ok(seen.length <= 4, `${seen.length} batches of memory: ${uses}`);
  });

  it('takes the memory of batches that nobody asked for as well', async () => {
    const loader = new BatchLoader({ ...settings, maxSplit: 2 });
    const seen: number[] = [];
    try {
      for (let step = 0; step < 100; step += 5) {
        const batch = await loader.next(step);
        memoryOf(batch, seen);
        assert.deepEqual(
          batch,
          await buildBatch({
            ...settings,
            maxSplit: 2,
            ...batchOf(step, settings.batch, settings.files.length),
          }),
        );
        loader.giveBack(step, batch);
      }
    } finally {
      await loader.dispose();
    }
    // Three asked for, while two of the last time are still passed over.
    assert.ok(seen.length <= 5, `${seen.length} batches of memory`);
  });

  it('gives batches their own memory as long as none is given back, and takes none once disposed of', async () => {
    const loader = new BatchLoader({ ...settings, maxSplit: 2 });
    const first = await loader.next(0);
    const copy = structuredClone({ ...first, images: first.images.slice(), crops: first.crops.slice() });
    for (let step = 1; step < 6; step++) await loader.next(step);
    assert.deepEqual([first.images, first.crops], [copy.images, copy.crops]);
    await loader.dispose();
    loader.giveBack(0, first);
  });

  it('gives a crop once where embeddings are kept, and names its region ever after', async () => {
    const regions = packRegions(settings.files.length, false, () =>
      settings.files.flatMap((_, image) =>
        [0, 1, 2].map(corner => ({ image, label: -1, box: [corner, corner, 12, 10 + corner] as const })),
      ),
    );
    const kept = 7;
    const loader = new BatchLoader({ ...settings, regions, maxBoxes: 2, keptRegions: kept });
    const all = { ...settings, regions, maxBoxes: 2 };
    const length = 3 * settings.cropSize ** 2;
    const crops = new Map<number, Float32Array>();
    let left = 0;
    try {
      for (let step = 0; step < 12; step++) {
        const batch = await loader.next(step);
        const whole = await buildBatch({ ...all, ...batchOf(step, settings.batch, settings.files.length) });
        assert.deepEqual(batch.sources, whole.sources);
        assert.equal(batch.kept!.regions.length, whole.crops.length / length);
        assert.equal(batch.crops.length / length, batch.kept!.cropOf.filter(place => place >= 0).length);
        batch.kept!.cropOf.forEach((place, box) => {
          const region = batch.kept!.regions[box]!;
          const given = batch.crops.subarray(place * length, (place + 1) * length);
          if (place < 0) left++;
          else if (region >= 0) assert.ok(!crops.has(region), `the crop of region ${region} came twice`);
          const crop = place < 0 ? crops.get(region)! : given.slice();
          if (region >= 0) crops.set(region, crop);
          assert.deepEqual(crop, whole.crops.slice(box * length, (box + 1) * length));
        });
      }
    } finally {
      await loader.dispose();
    }
    assert.deepEqual([...crops.keys()].sort(), [0, 1, 2, 3, 4, 5, 6]);
    assert.ok(left > 10, `${left} crops were left out`);
  });

  it('starts at any step and forgets what was passed over', async () => {
    const loader = new BatchLoader(settings);
    try {
      assert.deepEqual(await loader.next(7), await built(7));
      assert.deepEqual(await loader.next(40), await built(40));
      assert.deepEqual(await loader.next(3), await built(3));
    } finally {
      await loader.dispose();
    }
  });

  it('builds ahead while this thread is blocked', async () => {
    const loader = new BatchLoader({ ...settings, size: 512, cropSize: 224, patchSize: 16 });
    try {
      await loader.next(0);
      block(2000);
      const start = performance.now();
      await loader.next(1);
      const waited = performance.now() - start;
      const again = performance.now();
      await buildBatch({
        ...settings,
        size: 1024,
        cropSize: 224,
        patchSize: 16,
        epoch: 0,
        positions: [2, 3],
      });
      const building = performance.now() - again;
      assert.ok(waited < building / 2, `waited ${waited} ms for a batch that takes ${building} ms to build`);
    } finally {
      await loader.dispose();
    }
  });

  it('hands over the one clear error', async () => {
    const folder = await temporaryFolder();
    await writeFile(folder.file('text.png'), 'text');
    const loader = new BatchLoader({ ...settings, files: [folder.file('text.png')], batch: 1 });
    try {
      const message = `None of the 1 images can be used for training; the first one tried: ${folder.file('text.png')}: not a JPEG, PNG, WebP, GIF, TIFF or BMP image`;
      await assert.rejects(loader.next(0), new Error(message));
    } finally {
      await loader.dispose();
      await folder.remove();
    }
    const starved = new BatchLoader({ ...settings, batch: 6 });
    await assert.rejects(starved.next(0), /5 images cannot fill a batch of 6/);
    await starved.dispose();
  });

  it('can be disposed of in the middle of work and twice', async () => {
    const loader = new BatchLoader(settings);
    const unfinished = assert.rejects(loader.next(0), /disposed of/);
    await loader.dispose();
    await unfinished;
    await loader.dispose();
    await assert.rejects(loader.next(1), /disposed of/);
  });

  it('runs from another working directory and lets the process end by itself', async () => {
    const script = `
      const { BatchLoader } = await import(${JSON.stringify(new URL('../../trainer/images/batchLoader.ts', import.meta.url).href)});
      const loader = new BatchLoader(${JSON.stringify(settings)});
      const batch = await loader.next(0);
      console.log(batch.boxCounts.join());`;
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', tsx, '--input-type=module', '--eval', script],
      { cwd: tmpdir(), timeout: 15_000 },
    );
    assert.equal(stdout.trim(), (await built(0)).boxCounts.join());
  });
});
