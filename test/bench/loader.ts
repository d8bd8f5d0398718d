/**
 * How fast images become batches, and how long a step waits for them: `npm run bench:loader -- --images DIR|SHARDS
 * [--size 448] [--threads 1] [--seconds 8] [--rate 50]`. With `--rate` a step takes as long as its images do at that many a
 * second, during which this thread is blocked as by the forward passes; so do the steps of the warm-up.
 */
import { parseArgs } from 'node:util';
import { BatchLoader } from '../../trainer/images/batchLoader.ts';
import { clipNormalisation } from '../../trainer/images/normalise.ts';
import { openImageSource } from '../../trainer/shards/imageSource.ts';
import { peakMemory } from '../support/peakMemory.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    size: { type: 'string', default: '448' },
    threads: { type: 'string', default: '1' },
    batch: { type: 'string', default: '2' },
    'max-split': { type: 'string', default: '6' },
    seconds: { type: 'string', default: '8' },
    rate: { type: 'string', default: '0' },
  },
});
if (values.images === undefined) throw new Error('--images names a folder, COCO-style JSON or shards');
const number = (name: Exclude<keyof typeof values, 'images'>): number => Number(values[name]);
const [size, threads, imagesPerStep, rate] = [
  number('size'),
  number('threads'),
  number('batch'),
  number('rate'),
];

const indexStart = performance.now();
const { files, members } = await openImageSource(values.images);
const indexSeconds = (performance.now() - indexStart) / 1000;
const loader = new BatchLoader({
  ...{ files, members, seed: 1, batch: imagesPerStep, threads, size },
  ...{ cropSize: 224, patchSize: 16, maxSplit: number('max-split'), maxBoxes: 20, cropScale: 1 },
  normalisation: clipNormalisation,
});
/** Blocks this thread as native code does. */
const block = (milliseconds: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
};

let crops = 0;
/** Seconds that a step waited for its batch. */
async function takeStep(step: number): Promise<number> {
  const asked = performance.now();
  const batch = await loader.next(step);
  const waited = (performance.now() - asked) / 1000;
  crops += batch.boxCounts.reduce((sum, count) => sum + count, 0);
  if (rate > 0) block((1000 * imagesPerStep) / rate);
  loader.giveBack(step, batch);
  return waited;
}

// The first batches are built while threads start and code is compiled.
const first = 4 * threads + 4;
for (let step = 0; step < first; step++) await takeStep(step);
crops = 0;
const waits: number[] = [];
const start = performance.now();
const end = start + number('seconds') * 1000;
while (performance.now() < end) waits.push(await takeStep(first + waits.length));
const seconds = (performance.now() - start) / 1000;
await loader.dispose();
const images = waits.length * imagesPerStep;
const waited = waits.reduce((sum, wait) => sum + wait, 0);
waits.sort((a, b) => a - b);
const [median, most] = [waits[Math.floor(waits.length / 2)]!, waits.at(-1)!].map(wait =>
  (1000 * wait).toFixed(1),
);
const waitShare =
  rate > 0
    ? `, data wait ${((100 * waited) / seconds).toFixed(1)} % of the steps (median ${median} ms, most ${most} ms)`
    : '';
console.log(
  `${files.length} images listed in ${indexSeconds.toFixed(2)} s; ${size} px, ${threads} threads, ` +
    `${(crops / images).toFixed(1)} crops an image: ${(images / seconds).toFixed(1)} images/s${waitShare}; ` +
    `${(peakMemory() / 2 ** 20).toFixed(0)} MiB at most`,
);
