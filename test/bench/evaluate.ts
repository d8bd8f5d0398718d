/**
 * Times the evaluation of region classification against the forward passes that it needs, on random weights and words:
 * `npm run bench:evaluate -- --panoptic J --images DIR --masks DIR`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { clipNormalisation } from '../../trainer/checkpoints/openClipConfiguration.ts';
import { ImageFeatures, normaliseRows } from '../../trainer/dense/imageFeatures.ts';
import { soloWorld } from '../../trainer/distributed/world.ts';
import { createEngine } from '../../trainer/engines/createEngine.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { evaluate } from '../../trainer/evaluate/evaluation.ts';
import { openData } from '../../trainer/evaluate/openData.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { randomWeights, uniform } from '../support/randomTower.ts';

const { values } = parseArgs({
  options: {
    panoptic: { type: 'string' },
    images: { type: 'string' },
    masks: { type: 'string' },
    limit: { type: 'string', default: '10' },
    arch: { type: 'string', default: 'ViT-B-16' },
    size: { type: 'string', default: '448' },
    engine: { type: 'string', default: 'cpu' },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const { panoptic, images, masks } = values;
const architecture = knownArchitectures.get(values.arch);
if (panoptic === undefined || images === undefined || masks === undefined || !architecture)
  throw new Error('bench:evaluate needs --panoptic, --images and --masks, and a known --arch');
const [size, limit] = [Number(values.size), Number(values.limit)];
/** As the evaluation batches them. */
const cropsAtOnce = 16;

const engine = await createEngine(values.engine, Number(values.threads));
const programs = new ProgramCache(engine);
const interpolations = new PositionInterpolations(engine, architecture);
const tower = new VisionTower(architecture, randomWeights(engine, architecture), programs, interpolations);
const features = new ImageFeatures(engine, tower, clipNormalisation);

async function median(work: () => Promise<unknown>, runs = 3): Promise<number> {
  await work();
  const seconds: number[] = [];
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    await work();
    seconds.push((performance.now() - start) / 1000);
  }
  return seconds.sort((a, b) => a - b)[Math.floor(runs / 2)]!;
}

const image = uniform(3 * size * size, 2, 1);
const crops = uniform(cropsAtOnce * 3 * architecture.imageSize ** 2, 2, 2);
const denseSeconds = await median(() => features.denseOfPixels(image, size));
const cropSeconds = (await median(() => features.embeddingsOfPixels(crops, cropsAtOnce))) / cropsAtOnce;

const folder = await mkdtemp(path.join(tmpdir(), 'clipself-bench-'));
try {
  const folders = { images, masks };
  const data = await openData({ kind: 'panoptic', annotations: panoptic, folders, limit, skipBroken: false });
  const dimension = architecture.embeddingDimension;
  const names = data.classes.map(({ name }) => name);
  const words = { dimension, names, data: normaliseRows(uniform(names.length * dimension, 1, 3), dimension) };
  const identity = { name: 'random', path: '', sha256: '', run: null, step: null, epoch: null };
  const model = {
    identity,
    features,
    architecture,
    normalisation: clipNormalisation,
    engine: engine.version,
  };
  const request = { data, folders, words, wordsSource: 'random', sizes: [size], skipBroken: false };
  const start = performance.now();
  const report = (await evaluate(
    soloWorld,
    model,
    { ...request, report: path.join(folder, 'report.json') },
    null,
    {
      stopped: () => false,
      progress: () => undefined,
    },
  ))!;
  const seconds = (performance.now() - start) / 1000;
  const { counts } = report;
  const forward = counts.images * denseSeconds + counts.regions * cropSeconds;
  const round = (value: number): number => Number(value.toFixed(3));
  const result = {
    arch: values.arch,
    size,
    engine: engine.version,
    threads: Number(values.threads),
    images: counts.images,
    regions: counts.regions,
    seconds: round(seconds),
    images_per_second: round(counts.images / seconds),
    dense_s: round(denseSeconds),
    crop_s: round(cropSeconds),
    forward_s: round(forward),
    overhead: round(seconds / forward - 1),
    peak_rss_gib: round(process.resourceUsage().maxRSS / 2 ** 20),
  };
  console.error(
    `${result.images} images, ${result.regions} regions: ${result.seconds} s (${result.images_per_second} images/s); ` +
      `the forward passes alone ${result.forward_s} s; overhead ${(result.overhead * 100).toFixed(1)} %`,
  );
  if (values.json) console.log(JSON.stringify(result));
} finally {
  await rm(folder, { recursive: true, force: true });
  await programs.dispose();
  await engine.dispose();
}
