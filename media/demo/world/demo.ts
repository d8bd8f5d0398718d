/**
 * CLIPSelf on Emoji World, start to finish: `npm run demo:world -- --model DIR [--out DIR] [--threads N]`.
 *
 * Renders scenes, evaluates the dense features of a CLIP that knows Emoji World, fine-tunes it with CLIPSelf on
 * unlabelled scenes, evaluates again on scenes that no training saw, and writes `report.html`. Exits 1 when a claim
 * does not hold.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { EvaluationReport } from '../../../trainer/evaluate/protocol.ts';
import { readMetricHistory } from '../../../trainer/runs/metrics.ts';
import { heldOutStyles, trainingStyles } from '../../../trainer/world/styles.ts';
import { htmlReport, numberLines, type OverlayPair } from './report.ts';
import { type Comparison, judge, type Numbers } from './verdict.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Longest side of scenes in pixels: three crops of the tiny CLIP. */
const sceneSize = 144;

/** Seeds of the scenes that are trained on and of those that are quoted. */
const seeds = { training: 11, seen: 12, heldOut: 13 } as const;

/** Scenes whose clusters are drawn. */
const drawnScenes = ['000001', '000002', '000003'];

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    out: { type: 'string' },
    threads: { type: 'string', default: '0' },
    scenes: { type: 'string', default: '400' },
    'evaluated-scenes': { type: 'string', default: '120' },
    epochs: { type: 'string', default: '6' },
    lr: { type: 'string', default: '1.5e-3' },
  },
});

/** A folder that no earlier demo took. */
function freshFolder(): string {
  for (let number = 1; ; number++) {
    const folder = path.join(root, 'runs', number === 1 ? 'world-demo' : `world-demo-${number}`);
    if (!existsSync(folder)) return folder;
  }
}

/** Runs a command of `clipself`; its progress goes to this terminal. */
function clipself(...args: string[]): Promise<void> {
  const child = spawn(process.execPath, [path.join(root, 'dist/trainer/cli.js'), ...args, '--json'], {
    stdio: ['inherit', 'ignore', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', status => {
      if (status === 0) resolve();
      else reject(new Error(`clipself ${args[0]} ended with exit status ${status}`));
    });
  });
}

const folder = path.resolve(values.out ?? freshFolder());
const inside = (...names: string[]): string => path.join(folder, ...names);

async function render(name: keyof typeof seeds, count: string, styles: readonly string[]): Promise<void> {
  const options = ['--seed', String(seeds[name]), '--count', count, '--styles', styles.join(',')];
  await clipself('world', '--out', inside(name), '--things', '7-12', '--size', String(sceneSize), ...options);
}

async function numbersOf(model: string, data: 'seen' | 'heldOut', when: string): Promise<Numbers> {
  const out = inside(`${data}-${when}.json`);
  const files = ['--panoptic', inside(data, 'panoptic.json'), '--masks', inside(data, 'panoptic')];
  const options = ['--images', inside(data, 'images'), '--size', String(sceneSize)];
  await clipself(
    'evaluate',
    '--model',
    model,
    ...files,
    ...options,
    '--threads',
    values.threads,
    '--out',
    out,
  );
  return (JSON.parse(await readFile(out, 'utf8')) as EvaluationReport).numbers;
}

async function clusters(model: string, scene: string, when: string): Promise<Buffer> {
  const out = inside(`clusters-${scene}-${when}.png`);
  const image = inside('seen', 'images', `${scene}.jpg`);
  const options = ['--k', '8', '--size', String(2 * sceneSize), '--threads', values.threads];
  await clipself('kmeans', '--model', model, '--image', image, '--out', out, ...options);
  return readFile(out);
}

async function main(model: string): Promise<boolean> {
  const started = performance.now();
  await mkdir(folder, { recursive: true });
  await render('training', values.scenes, trainingStyles);
  await render('seen', values['evaluated-scenes'], trainingStyles);
  await render('heldOut', values['evaluated-scenes'], heldOutStyles);
  const before = {
    seen: await numbersOf(model, 'seen', 'before'),
    heldOut: await numbersOf(model, 'heldOut', 'before'),
  };
  const run = inside('run');
  const recipe = `--batch 4 --lr ${values.lr} --warmup 20 --blend 1 --hold-out 8 --epochs ${values.epochs}`;
  const sizes = ['--size', String(sceneSize), '--threads', values.threads];
  await clipself(
    'train',
    '--model',
    model,
    '--images',
    inside('training', 'images'),
    '--out',
    run,
    ...sizes,
    ...recipe.split(' '),
  );
  const student = path.join(run, 'student.safetensors');
  const after = {
    seen: await numbersOf(run, 'seen', 'after'),
    heldOut: await numbersOf(run, 'heldOut', 'after'),
  };
  const seen: Comparison = { before: before.seen, after: after.seen };
  const heldOut: Comparison = { before: before.heldOut, after: after.heldOut };
  const overlays: OverlayPair[] = [];
  for (const scene of drawnScenes)
    overlays.push({
      name: scene,
      before: await clusters(model, scene, 'before'),
      after: await clusters(student, scene, 'after'),
    });
  const comparisons = [
    { title: 'Styles that were trained on, unseen scenes', numbers: seen },
    { title: 'The style that no training saw', numbers: heldOut },
  ];
  const claims = judge(seen, heldOut);
  const losses = (await readMetricHistory(path.join(run, 'metrics.jsonl'))).steps.map(({ loss }) => loss);
  const minutes = (performance.now() - started) / 60_000;
  const page = htmlReport({ model, comparisons, claims, losses, overlays, minutes });
  await writeFile(inside('report.html'), page);
  for (const comparison of comparisons) console.log(`\n${numberLines(comparison).join('\n')}`);
  console.log('');
  for (const { text, measured, holds } of claims)
    console.log(`${holds ? 'yes' : ' no'}  ${text}: ${measured}`);
  console.log(`\n${minutes.toFixed(1)} minutes, report: ${inside('report.html')}`);
  return claims.every(({ holds }) => holds);
}

if (values.model === undefined) {
  console.error('demo:world needs --model DIR, a CLIP that knows Emoji World (clipself pretrain makes one)');
  process.exitCode = 2;
} else if (!(await main(path.resolve(values.model)))) process.exitCode = 1;
