import path from 'node:path';
import { writeAtomically, writeFully } from '../checkpoints/atomicFile.ts';
import { FileError } from '../checkpoints/fileError.ts';
import { hashFile } from '../checkpoints/modelFiles.ts';
import { findLaunch } from '../distributed/launcher.ts';
import { soloWorld } from '../distributed/world.ts';
import { findModel } from '../inspect/modelReference.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { StopSwitch } from '../server.ts';
import { UsageError } from '../usageError.ts';
import { type BlendPoint, blendDrawing, blendTable } from './blendCurve.ts';
import { evaluateModel } from './evaluate.ts';
import { type EvaluateOptions, readEvaluateOptions } from './evaluateOptions.ts';
import { realNumber } from './optionValues.ts';
import { stoppable } from './stoppable.ts';

const help = `usage: clipself blend-sweep --model RUN --alphas 0,0.25,0.5,0.7,0.85,1 --out FOLDER
                            --panoptic J --images DIR --masks DIR [options of clipself evaluate]

Evaluates blends α·student + (1 − α)·teacher of a trained run without training again: α = 0 is the original model. Writes
a report for each α, blend.csv and the curve, blend.svg. The same command goes on where it was stopped.

  --model RUN        run directory with a checkpoint
  --step N           checkpoint of the run; the last one without it
  --alphas A,A,…     shares of the student, 0 … 1
  --image-labels L   whole images and their classes: how much zero-shot classification each blend keeps`;

/** `clipself blend-sweep`. */
export async function blendSweepCommand(args: string[]): Promise<void> {
  if (args.some(arg => arg === '--help' || arg === '-h')) {
    console.log(help);
    return;
  }
  if (findLaunch()) throw new UsageError('blend-sweep runs on one process: start it without mpirun or srun');
  const { alphas, folder, options } = readOptions(args);
  const points = await stoppable(soloWorld, async (log, stop) => {
    const found = await evaluateBlends(await withStep(options), alphas, folder, log, stop);
    if (!found) return null;
    await writeText(path.join(folder, 'blend.csv'), blendTable(found));
    await writeText(path.join(folder, 'blend.svg'), blendDrawing(found));
    return found;
  });
  const { json } = options;
  if (points) {
    if (json) console.log(JSON.stringify({ state: 'finished', out: folder, points }));
    else report(points, folder);
  } else if (json) console.log(JSON.stringify({ state: 'stopped', out: folder }));
  else console.log('stopped; the same command goes on');
}

/** `--alphas` and a folder as `--out`; everything else is what `clipself evaluate` takes. */
function readOptions(args: readonly string[]): {
  alphas: number[];
  folder: string;
  options: EvaluateOptions;
} {
  const own = new Map<string, string>();
  const others: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const [name, ...rest] = args[index]!.split('=') as [string, ...string[]];
    if (name !== '--alphas' && name !== '--out') others.push(args[index]!);
    else own.set(name, rest.length > 0 ? rest.join('=') : (args[++index] ?? ''));
  }
  const [list, out] = [own.get('--alphas'), own.get('--out')];
  if (!list || !out)
    throw new UsageError('blend-sweep needs --alphas and --out (clipself blend-sweep --help)');
  const alphas = [...new Set(list.split(',').map(text => realNumber('--alphas', text, 0, 1)))];
  const folder = path.resolve(out);
  const options = readEvaluateOptions([...others, '--out', path.join(folder, 'report.json')], 'blend-sweep');
  // Help was asked for above.
  return { alphas: alphas.sort((a, b) => a - b), folder, options: options! };
}

/** The checkpoint that is blended: α is that of a checkpoint, not of what the run gave away already blended. */
async function withStep(options: EvaluateOptions): Promise<EvaluateOptions & { step: number }> {
  if (options.step !== null) return { ...options, step: options.step };
  const reference = { path: options.model, arch: options.arch, step: null, blend: null };
  const { steps } = await findModel(reference, { of: hashFile });
  const step = Math.max(...steps);
  if (steps.length > 0) return { ...options, step };
  throw new FileError(
    options.model,
    'it is no run directory with a checkpoint',
    'Choose a run that has trained',
  );
}

async function evaluateBlends(
  options: EvaluateOptions,
  alphas: readonly number[],
  folder: string,
  log: RunLog,
  stop: StopSwitch,
): Promise<BlendPoint[] | null> {
  const points: BlendPoint[] = [];
  for (const [index, alpha] of alphas.entries()) {
    log.info(`α = ${alpha}, ${index + 1} of ${alphas.length}`);
    const out = path.join(folder, `alpha-${alpha}.json`);
    const evaluated = await evaluateModel(soloWorld, { ...options, blend: alpha, out }, log, stop);
    if (!evaluated) return null;
    const { numbers, retention } = evaluated;
    points.push({ alpha, numbers, wholeImages: retention?.student.top1 ?? null });
  }
  return points;
}

const writeText = (file: string, text: string): Promise<void> =>
  writeAtomically(file, handle => writeFully(handle, Buffer.from(text)));

function report(points: readonly BlendPoint[], folder: string): void {
  const percent = (value: number | null | undefined): string =>
    (value === null || value === undefined ? '–' : `${(100 * value).toFixed(1)} %`).padStart(14);
  console.log(
    `${'α'.padEnd(6)}${['boxes', 'masks, things', 'masks, stuff', 'whole images'].map(name => name.padStart(14)).join('')}`,
  );
  for (const { alpha, numbers, wholeImages } of points) {
    const shown = [
      numbers['rois.thing.macc1'],
      numbers['maskpool.thing.macc1'],
      numbers['maskpool.stuff.macc1'],
    ];
    console.log(`${String(alpha).padEnd(6)}${[...shown, wholeImages].map(percent).join('')}`);
  }
  console.log(`top-1 mean accuracy over classes; reports, table and curve: ${folder}`);
}
