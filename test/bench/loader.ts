/**
 * How fast images become batches, and how long a step waits for them: `npm run bench:loader -- --images DIR|SHARDS
 * [--size 448] [--threads 1] [--seconds 8] [--rate 50]`. With `--rate` a step takes as long as its images do at that many a
 * second, during which this thread is blocked as by the forward passes.
 */
import { parseArgs } from 'node:util';
import { BatchLoader } from '../../trainer/images/batchLoader.ts';
import { clipNormalisation } from '../../trainer/images/normalise.ts';
import { openImageSource } from '../../trainer/shards/imageSource.ts';

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
const [size, threads, batch, rate] = [number('size'), number('threads'), number('batch'), number('rate')];

const indexStart = performance.now();
const { files, members } = await openImageSource(values.images);
const indexSeconds = (performance.now() - indexStart) / 1000;
const loader = new BatchLoader({
  ...{ files, members, seed: 1, batch, threads, size },
  ...{ cropSize: 224, patchSize: 16, maxSplit: number('max-split'), maxBoxes: 20, cropScale: 1 },
  normalisation: clipNormalisation,
});
/** Blocks this thread as native code does. */
const block = (milliseconds: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
};

// The first batches are built while threads start and code is compiled.
let step = 0;
for (; step < 2 * threads + 2; step++) await loader.next(step);
const first = step;
let [waited, crops] = [0, 0];
const start = performance.now();
const end = start + number('seconds') * 1000;
while (performance.now() < end) {
  const asked = performance.now();
  const { boxCounts } = await loader.next(step++);
  waited += performance.now() - asked;
  crops += boxCounts.reduce((sum, count) => sum + count, 0);
  if (rate > 0) block((1000 * batch) / rate);
}
const seconds = (performance.now() - start) / 1000;
await loader.dispose();
const images = (step - first) * batch;
const waitShare =
  rate > 0 ? `, data wait ${((100 * waited) / 1000 / seconds).toFixed(1)} % of the steps` : '';
console.log(
  `${files.length} images listed in ${indexSeconds.toFixed(2)} s; ${size} px, ${threads} threads, ` +
    `${(crops / images).toFixed(1)} crops an image: ${(images / seconds).toFixed(1)} images/s${waitShare}`,
);
