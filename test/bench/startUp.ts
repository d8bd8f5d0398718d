/**
 * Times `clipself features` from the start of the process to its end, against the forward passes alone in a process that
 * is warm, by turns: `npm run bench:startup`. What is left is Node, the reading of the weights, the making of sessions,
 * the image and the file of results.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { clipNormalisation } from '../../trainer/checkpoints/openClipConfiguration.ts';
import { ImageFeatures } from '../../trainer/dense/imageFeatures.ts';
import { createEngine } from '../../trainer/engines/createEngine.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { repositoryRoot } from '../support/browserPrerequisites.ts';
import { vitB16, writeRandomModel } from '../support/randomModels.ts';
import { randomWeights, uniform } from '../support/randomTower.ts';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '448' },
    runs: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
  },
});
const [size, runs, threads] = [Number(values.size), Number(values.runs), Number(values.threads)];

const architecture = knownArchitectures.get('ViT-B-16')!;
const engine = await createEngine('cpu', threads);
const programs = new ProgramCache(engine);
const interpolations = new PositionInterpolations(engine, architecture);
const tower = new VisionTower(architecture, randomWeights(engine, architecture), programs, interpolations);
const features = new ImageFeatures(engine, tower, clipNormalisation);
const image = uniform(3 * size * size, 2, 1);
const crop = uniform(3 * architecture.imageSize ** 2, 2, 2);

async function forwardPasses(): Promise<void> {
  await features.embeddingsOfPixels(crop, 1);
  await features.denseOfPixels(image, size);
}

const folder = await mkdtemp(path.join(tmpdir(), 'clipself-startup-'));
const photograph = path.join(repositoryRoot, 'media/demo/images/scene-01.jpg');

async function command(): Promise<void> {
  const options = [
    '--model',
    folder,
    '--image',
    photograph,
    '--size',
    String(size),
    '--threads',
    String(threads),
  ];
  const script = path.join(repositoryRoot, 'dist/trainer/cli.js');
  const out = path.join(folder, 'features.safetensors');
  await promisify(execFile)(process.execPath, [script, 'features', ...options, '--out', out]);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

const middle = (seconds: readonly number[]): number =>
  [...seconds].sort((a, b) => a - b)[seconds.length >> 1]!;

try {
  await writeRandomModel(folder, vitB16);
  await forwardPasses();
  await command();
  const [forward, whole]: [number[], number[]] = [[], []];
  for (let run = 0; run < runs; run++) {
    forward.push(await timed(forwardPasses));
    whole.push(await timed(command));
  }
  const [alone, started] = [middle(forward), middle(whole)];
  console.log(
    `clipself features, ViT-B/16, ${size} px, ${threads} threads, ${runs} runs: ${started.toFixed(2)} s, ` +
      `forward passes alone ${alone.toFixed(2)} s, start-up ${(started - alone).toFixed(2)} s`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
  await programs.dispose();
  await engine.dispose();
}
