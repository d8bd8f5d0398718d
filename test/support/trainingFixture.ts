/** A model and images small enough that a training run takes a second, and the bundled trainer as a child process. */

import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { systemErrorCode } from '../../trainer/checkpoints/fileError.ts';
import type { HostTensor } from '../../trainer/checkpoints/hostTensor.ts';
import { writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import {
  clipNormalisation,
  parseOpenClipConfiguration,
  toOpenClipConfiguration,
} from '../../trainer/checkpoints/openClipConfiguration.ts';
import { writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { visionTensorShapes } from '../../trainer/models/architecture.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
export const trainerProgram = path.join(repository, 'dist/trainer/cli.js');

/** Newest modification below a folder or of a file, milliseconds since the Unix epoch. */
function newest(file: string): number {
  const status = statSync(file);
  if (!status.isDirectory()) return status.mtimeMs;
  return Math.max(0, ...readdirSync(file).map(name => newest(path.join(file, name))));
}

/** Bundles the trainer unless the bundle is newer than everything that goes into it. */
export async function buildTrainer(): Promise<void> {
  const sources = ['trainer', 'package.json', 'esbuild.mjs'].map(name => path.join(repository, name));
  const workers = ['batchWorker.js', 'mpiWorker.js', 'regionWorker.js', 'wholeImageWorker.js'];
  const bundles = [trainerProgram, ...workers.map(name => path.join(path.dirname(trainerProgram), name))];
  const built = bundles.every(existsSync) ? Math.min(...bundles.map(newest)) : 0;
  if (Math.max(...sources.map(newest)) < built) return;
  await promisify(execFile)(process.execPath, ['esbuild.mjs'], { cwd: repository });
}

/** Patch 8, so that `--size 32` gives 16 tokens. */
const { architecture } = parseOpenClipConfiguration(
  {
    model_cfg: {
      embed_dim: 16,
      vision_cfg: { image_size: 32, layers: 2, width: 32, head_width: 16, patch_size: 8 },
      text_cfg: {},
    },
  },
  'open_clip_config.json',
);
export const tinyArchitecture = architecture;

function initialise(name: string, shape: readonly number[]): HostTensor {
  const size = shape.reduce((product, length) => product * length, 1);
  const data = new Float32Array(size);
  const random = keyedRandom(3, name);
  // Norms start as the identity; everything else is uniform with the spread that keeps a token's size.
  const spread = Math.sqrt(3 / Math.max(...shape.slice(shape.length === 2 ? 0 : -1), 1));
  if (/ln_\w+\.weight$/.test(name)) data.fill(1);
  else if (!name.endsWith('bias'))
    for (let index = 0; index < size; index++) data[index] = (2 * random.float() - 1) * spread;
  return { shape: [...shape], dtype: 'float32', data };
}

/** Tensors of a random model: the image tower, one tensor of a text tower and the temperature. */
export function tinyTensors(): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  for (const [name, shape] of visionTensorShapes(architecture)) tensors.set(name, initialise(name, shape));
  tensors.set('text_projection', initialise('text_projection', [8, architecture.embeddingDimension]));
  tensors.set('logit_scale', { shape: [], dtype: 'float32', data: Float32Array.of(2.66) });
  return tensors;
}

/** Writes a model folder in OpenCLIP's format. */
export async function writeTinyModel(
  folder: string,
  tensors: ReadonlyMap<string, HostTensor> = tinyTensors(),
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeSafetensors(path.join(folder, 'open_clip_model.safetensors'), tensors, { format: 'pt' });
  await writeJson(
    path.join(folder, 'open_clip_config.json'),
    toOpenClipConfiguration({ architecture, normalisation: clipNormalisation }),
  );
}

/** Writes PNG files of coloured rectangles, `image-00.png` and so on, each of another aspect ratio. */
export async function writeTinyImages(folder: string, count: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let index = 0; index < count; index++) {
    const random = keyedRandom(11, 'image', index);
    const [width, height] = [40 + random.uint(40), 40 + random.uint(40)];
    const colour = () => ({ r: random.uint(256), g: random.uint(256), b: random.uint(256) });
    const square = { width: 20, height: 20, channels: 3, background: colour() } as const;
    const place = { left: random.uint(20), top: random.uint(20) };
    await sharp({ create: { width, height, channels: 3, background: colour() } })
      .composite([{ input: { create: square }, ...place }])
      .png()
      .toFile(path.join(folder, `image-${String(index).padStart(2, '0')}.png`));
  }
}

/** The same command for every run of a test: settings that make a step short and checkpoints frequent. */
export function tinyCommand(model: string, images: string, out: string): string[] {
  const settings = '--size 32 --max-split 3 --max-boxes 4 --batch 2 --lr 1e-3 --warmup 2 --threads 1';
  return ['--model', model, '--images', images, '--out', out, ...settings.split(' ')];
}

export interface Ended {
  /** Exit status; null when a signal ended the process. */
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface TrainerProcess {
  child: ChildProcessByStdio<null, Readable, Readable>;
  pid: number;
  ended: Promise<Ended>;
  /** Whether it has ended. */
  over(): boolean;
}

/** Starts a command as a child process and gathers what it says. */
export function startProcess(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): TrainerProcess {
  const child = spawn(command, args, {
    cwd: repository,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => {
    stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  const over = () => child.exitCode !== null || child.signalCode !== null;
  return { child, pid: child.pid!, ended, over };
}

/** Starts `clipself train` with these arguments. */
export const startTrainer = (args: readonly string[]): TrainerProcess =>
  startProcess(process.execPath, [trainerProgram, 'train', ...args]);

/** Runs `clipself train` to its end. */
export const runTrainer = (args: readonly string[]): Promise<Ended> => startTrainer(args).ended;

/** Looks every few milliseconds until `condition` holds or the trainer has ended; returns whether it holds. */
export async function waitUntil(trainer: TrainerProcess, condition: () => boolean): Promise<boolean> {
  while (!condition()) {
    if (trainer.over()) return condition();
    await delay(4);
  }
  return true;
}

/** Content of a file; empty when there is none. */
export function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

/** Waits until the run's metrics have gained at least `count` steps since the call. */
export function waitForSteps(trainer: TrainerProcess, directory: string, count = 1): Promise<boolean> {
  const { metrics } = runFiles(directory);
  const steps = () => textOf(metrics).match(/^\{"step":/gm)?.length ?? 0;
  const before = steps();
  return waitUntil(trainer, () => steps() >= before + count);
}

/** Every file below a run's `checkpoints`, and `student.safetensors`: path to content. */
export async function weightsOfRun(directory: string): Promise<Map<string, Buffer>> {
  const { checkpoints, student } = runFiles(directory);
  const contents = new Map<string, Buffer>();
  const names = await readdir(checkpoints, { recursive: true });
  for (const name of names.filter(name => name.endsWith('.safetensors')).sort())
    contents.set(name, await readFile(path.join(checkpoints, name)));
  contents.set('student', await readFile(student));
  return contents;
}
