/**
 * CLIPSelf on Emoji World, start to finish: `npm run demo -- [--model DIR] [--out DIR] [--threads N]`.
 *
 * Renders scenes, evaluates the dense features of the tiny CLIP that ships, fine-tunes it with CLIPSelf on unlabelled
 * scenes, evaluates again on scenes that no training saw, and writes `report.html`. Exits 1 when a claim does not hold.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { EvaluationReport } from '../../trainer/evaluate/protocol.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { heldOutStyles, type StyleName, trainingStyles } from '../../trainer/world/styles.ts';
import { htmlReport, numberLines, type SceneViews } from './report.ts';
import { looksAsOptions, looksInWords, proposedRegions, sceneLooks } from './sceneLooks.ts';
import { judge, type Numbers } from './verdict.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The parts of scenes. The recipe was chosen with other seeds than these. */
const parts = {
  training: { seed: 11, styles: trainingStyles },
  seen: { seed: 12, styles: trainingStyles },
  heldOut: { seed: 13, styles: heldOutStyles },
} as const satisfies Record<string, { seed: number; styles: readonly StyleName[] }>;
type Part = keyof typeof parts;

/** Scenes whose dense features are drawn. */
const drawn = [
  { part: 'seen', scene: '000001' },
  { part: 'seen', scene: '000002' },
  { part: 'seen', scene: '000003' },
  { part: 'heldOut', scene: '000001' },
  { part: 'heldOut', scene: '000002' },
] as const;

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: path.join(root, 'media/demo/model') },
    out: { type: 'string' },
    threads: { type: 'string', default: '0' },
    scenes: { type: 'string', default: '4000' },
    'evaluated-scenes': { type: 'string', default: '240' },
    epochs: { type: 'string', default: '5' },
    lr: { type: 'string', default: '2e-3' },
  },
});

/** A folder that no earlier demo took. */
function freshFolder(): string {
  for (let number = 1; ; number++) {
    const folder = path.join(root, 'runs', number === 1 ? 'demo' : `demo-${number}`);
    if (!existsSync(folder)) return folder;
  }
}

const model = path.resolve(values.model);
const folder = path.resolve(values.out ?? freshFolder());
const inside = (...names: string[]): string => path.join(folder, ...names);

/** Runs a command of `clipself`; its progress goes to this terminal. */
function clipself(command: string, options: Readonly<Record<string, string>>): Promise<void> {
  const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const args = [path.join(root, 'dist/trainer/cli.js'), command, ...given, '--json'];
  const child = spawn(process.execPath, args, { stdio: ['inherit', 'ignore', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', status => {
      if (status === 0) resolve();
      else reject(new Error(`clipself ${command} ended with exit status ${status}`));
    });
  });
}

async function render(part: Part, count: string): Promise<void> {
  const { seed, styles } = parts[part];
  const scenes = { seed: String(seed), count, styles: styles.join(','), ...looksAsOptions() };
  await clipself('world', { out: inside(part), ...scenes });
}

async function numbersOf(weights: string, part: Part, when: string): Promise<Numbers> {
  const out = inside(`${part}-${when}.json`);
  const files = { panoptic: inside(part, 'panoptic.json'), masks: inside(part, 'panoptic') };
  const images = { images: inside(part, 'images'), size: String(sceneLooks.longestSide) };
  await clipself('evaluate', { model: weights, ...files, ...images, threads: values.threads, out });
  return (JSON.parse(await readFile(out, 'utf8')) as EvaluationReport).numbers;
}

/** Proposes regions by colour alone: cells of a grid seldom lie where things do. */
async function propose(): Promise<void> {
  const images = inside('training', 'images');
  const { threads } = values;
  await clipself('propose', {
    images,
    count: String(proposedRegions),
    threads,
    out: inside('proposals.json'),
  });
}

/**
 * Fine-tunes without labels. The teacher sees each region once; the first two blocks stay as they are, which takes two
 * thirds of the time and loses nothing; the student stays unblended, because a tiny CLIP has nothing to keep.
 */
async function fineTune(run: string): Promise<void> {
  const regions = {
    regions: 'proposals',
    boxes: inside('proposals.json'),
    'max-boxes': String(proposedRegions),
    'teacher-cache': '64',
  };
  const recipe = {
    ...{ batch: '8', lr: values.lr, warmup: '30', blend: '1', epochs: values.epochs },
    ...{ 'unlocked-blocks': '4', 'checkpoint-every': '1000' },
  };
  const scenes = {
    images: inside('training', 'images'),
    size: String(sceneLooks.longestSide),
    'hold-out': '8',
  };
  await clipself('train', { model, ...scenes, ...regions, ...recipe, threads: values.threads, out: run });
}

/** Draws dense features at three times the size of the scene, so that patches are small beside things. */
async function draw(weights: string, part: Part, scene: string, when: string): Promise<Buffer> {
  const out = inside(`clusters-${part}-${scene}-${when}.png`);
  const image = inside(part, 'images', `${scene}.jpg`);
  const size = String(3 * sceneLooks.longestSide);
  await clipself('kmeans', { model: weights, image, out, k: '8', size, threads: values.threads });
  return readFile(out);
}

async function drawAll(student: string): Promise<SceneViews[]> {
  const views: SceneViews[] = [];
  for (const { part, scene } of drawn)
    views.push({
      name: `${part === 'seen' ? 'a style trained on' : 'the style held out'}, scene ${Number(scene)}`,
      image: await readFile(inside(part, 'images', `${scene}.jpg`)),
      before: await draw(model, part, scene, 'before'),
      after: await draw(student, part, scene, 'after'),
    });
  return views;
}

async function main(): Promise<boolean> {
  const started = performance.now();
  await mkdir(folder, { recursive: true });
  console.error(`CLIPSelf on Emoji World: some minutes. Everything goes to ${folder}`);
  await render('training', values.scenes);
  for (const part of ['seen', 'heldOut'] as const) await render(part, values['evaluated-scenes']);
  console.error('before CLIPSelf:');
  const seenBefore = await numbersOf(model, 'seen', 'before');
  const heldOutBefore = await numbersOf(model, 'heldOut', 'before');
  await propose();
  const run = inside('run');
  await fineTune(run);
  console.error('after CLIPSelf:');
  const seen = { before: seenBefore, after: await numbersOf(run, 'seen', 'after') };
  const heldOut = { before: heldOutBefore, after: await numbersOf(run, 'heldOut', 'after') };
  const views = await drawAll(path.join(run, 'student.safetensors'));
  const comparisons = [
    { title: 'Styles trained on, unseen scenes', numbers: seen },
    { title: 'The style that no training saw, unseen scenes', numbers: heldOut },
  ];
  const claims = judge(seen, heldOut);
  const losses = (await readMetricHistory(path.join(run, 'metrics.jsonl'))).steps.map(({ loss }) => loss);
  const minutes = (performance.now() - started) / 60_000;
  const page = htmlReport({
    model: path.relative(root, model),
    comparisons,
    claims,
    losses,
    views,
    minutes,
    scenes: looksInWords,
  });
  await writeFile(inside('report.html'), page);
  for (const comparison of comparisons) console.log(`\n${numberLines(comparison).join('\n')}`);
  console.log('');
  for (const { text, measured, holds } of claims)
    console.log(`${holds ? 'yes' : ' no'}  ${text}: ${measured}`);
  console.log(`\n${minutes.toFixed(1)} minutes. Report: ${inside('report.html')}`);
  console.log(`Fine-tuned model: ${path.join(run, 'student.safetensors')}`);
  return claims.every(({ holds }) => holds);
}

if (!(await main())) process.exitCode = 1;
