/**
 * Makes a pre-trained run the model that ships: `npm run demo:model -- RUN [--machine "two CPU cores"] [--earlier RUN]`.
 * `--earlier` names the run whose weights RUN started from.
 *
 * Rounds the weights to float16, measures that model on scenes of a seed that no training and no choice was made on,
 * and writes its model card. Everything goes to `media/demo/model`.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { readPretrainConfiguration } from '../../trainer/runs/pretrainConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { parseStyleList } from '../../trainer/world/styleList.ts';
import { type EarlierRun, modelCard } from './modelCard.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const target = path.join(root, 'media/demo/model');

/** Crops of each style, and the seed of their scenes. */
const measured = { crops: 1280, seed: 2000 } as const;

async function clipself(...args: string[]): Promise<Record<string, number>> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    path.join(root, 'dist/trainer/cli.js'),
    ...args,
    '--json',
  ]);
  return JSON.parse(stdout);
}

async function earlierRun(directory: string): Promise<EarlierRun> {
  const files = runFiles(path.resolve(directory));
  const { settings } = await readPretrainConfiguration(files.configuration);
  return { settings, steps: (await readMetricHistory(files.metrics)).steps.length };
}

async function ship(directory: string, machine: string, before: string | undefined): Promise<void> {
  const files = runFiles(directory);
  const { settings, parameters } = await readPretrainConfiguration(files.configuration);
  const { steps, evaluations } = await readMetricHistory(files.metrics);
  const earlier = before === undefined ? null : await earlierRun(before);
  await mkdir(target, { recursive: true });
  const weights = path.join(target, 'open_clip_model.safetensors');
  await clipself('export', '--model', directory, '--format', 'safetensors', '--half', '--out', weights);
  for (const name of ['open_clip_config.json', 'tokenizer.json'])
    await copyFile(path.join(directory, name), path.join(target, name));
  const { crops, seed } = measured;
  const scores = await clipself(
    ...['zero-shot', '--model', target, '--crops', String(crops), '--seed', String(seed)],
  );
  const card = modelCard({
    ...{ settings, machine, earlier, scores, crops },
    parameters: parameters.total,
    styles: parseStyleList(settings.styles),
    steps: steps.length,
    seconds: steps.reduce(
      (sum, { imagesPerSecond }) => sum + (settings.batch * settings.groups) / imagesPerSecond,
      0,
    ),
    curve: evaluations.map(({ eval: { step, ...values } }) => ({
      step,
      trained: values['zeroShot.trained'] ?? Number.NaN,
      heldOut: values['zeroShot.heldOut'] ?? Number.NaN,
    })),
  });
  await writeFile(path.join(target, 'README.md'), card);
  console.log(card);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { machine: { type: 'string', default: 'two CPU cores' }, earlier: { type: 'string' } },
});
if (positionals.length !== 1) {
  console.error('demo:model needs the directory of a run of clipself pretrain');
  process.exitCode = 2;
} else await ship(path.resolve(positionals[0]!), values.machine, values.earlier);
