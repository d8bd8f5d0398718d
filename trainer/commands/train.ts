import path from 'node:path';
import { parseArgs } from 'node:util';
import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject, readJson } from '../checkpoints/jsonFile.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { publishedAdamW } from '../distill/optimiser.ts';
import { inWorld } from '../distributed/inWorld.ts';
import { agreeing, leads, type World } from '../distributed/world.ts';
import { engineNames } from '../engines/createEngine.ts';
import type { TrainingSettings } from '../protocol.ts';
import { isRecipeName, type Recipe, recipeNames, recipes } from '../recipes.ts';
import { RunLog } from '../runs/runLog.ts';
import { StopSwitch } from '../server.ts';
import { absoluteImages } from '../shards/shardPattern.ts';
import { evaluationPaths } from '../training/regionEvaluation.ts';
import { regionPaths } from '../training/regionPlan.ts';
import {
  type NumericSetting,
  SettingError,
  settingRanges,
  type TrainingRequest,
  trainingDefaults,
} from '../training/settings.ts';
import { train } from '../training/train.ts';
import { UsageError } from '../usageError.ts';

/** Text settings and their options; the numeric ones bring theirs along. */
const textOptions = {
  model: '--model',
  images: '--images',
  arch: '--arch',
  engine: '--engine',
  precision: '--precision',
  method: '--method',
  exchange: '--exchange',
  regions: '--regions',
  boxes: '--boxes',
  embeddings: '--embeddings',
  prompts: '--prompts',
  multiscale: '--multiscale',
  evaluatePanoptic: '--evaluate-panoptic',
  evaluateImages: '--evaluate-images',
  evaluateMasks: '--evaluate-masks',
  evaluateEmbeddings: '--evaluate-embeddings',
} as const;

/** Text settings that may be null. */
const optionalTexts: ReadonlySet<string> = new Set([
  'arch',
  'multiscale',
  ...evaluationPaths,
  ...regionPaths,
]);

const numericSettings = Object.keys(settingRanges) as NumericSetting[];
const optionName = (option: string): string => option.slice(2);

const options = {
  ...Object.fromEntries(
    [...Object.values(textOptions), ...numericSettings.map(name => settingRanges[name].option)].map(
      option => [optionName(option), { type: 'string' as const }],
    ),
  ),
  out: { type: 'string' as const },
  resume: { type: 'string' as const },
  config: { type: 'string' as const },
  preset: { type: 'string' as const },
  json: { type: 'boolean' as const },
  'no-average': { type: 'boolean' as const },
  help: { type: 'boolean' as const, short: 'h' },
};

const wordedDefaults: Partial<Record<NumericSetting, string>> = {
  holdOut: 'a tenth of the images, at most 16',
  ranks: 'as many as mpirun or srun starts',
};

function help(): string {
  const defaults: Partial<Record<NumericSetting, unknown>> = trainingDefaults;
  const ofEva: typeof defaults = publishedAdamW('eva02');
  const settings = numericSettings.map(name => {
    const { option, least, most } = settingRanges[name];
    const standard = wordedDefaults[name] ?? defaults[name];
    const other = name in ofEva && ofEva[name] !== standard ? ` (EVA-02: ${ofEva[name]})` : '';
    return `  ${option.padEnd(20)} ${least} … ${most}, default ${standard}${other}`;
  });
  return [
    'usage: clipself train --model FILE|DIR --images DIR|coco.json|SHARDS --out RUN [options]',
    '       clipself train --resume RUN',
    '',
    'Fine-tunes the image tower with CLIPSelf. The same command on a RUN that exists resumes it.',
    'Ctrl-C finishes the step, saves and exits 0; a second Ctrl-C ends at once.',
    'mpirun -n N clipself train … trains on N ranks: a step takes --batch × --accumulate × --ranks images, whose gradients',
    'are averaged. The run goes on with any number of ranks; SIGUSR2 to mpirun stops it like Ctrl-C.',
    '',
    "  --images SHARDS      tar files such as 'shards/{0000..0117}.tar' or 'shards/*.tar', several by comma",
    '  --arch NAME|FILE     known architecture or open_clip_config.json, when the weights do not tell',
    `  --engine NAME        ${engineNames.join(', ')}; default auto`,
    '  --precision NAME     fp32, or fp16: mixed precision on cards with 16-bit numbers, weights stay fp32',
    '  --method NAME        clipself (default): regions are compared with the teacher’s embedding of their crop;',
    '                       regionclip: with the nouns of their labels, by federated binary cross-entropy',
    '  --regions KIND       grid (default), proposals (COCO-style JSON; first those of clipself propose) or',
    '                       boxes-file (plain JSON: {"boxes": [{"image", "box": [x0, y0, x1, y1], "class"}, …]})',
    '  --boxes FILE         the proposals or boxes; regionclip takes categories from it as well',
    '  --embeddings F.npy   regionclip: embeddings of the categories by id; the model’s own words without it',
    '  --prompts FILE       regionclip: prompts for the model’s own words instead of the default ones',
    '  --multiscale SIDES   sides of the student image, one drawn a step, such as 320,640,896,1024 (published)',
    `  --preset NAME        a published recipe: ${recipeNames.join(', ')};`,
    '                       other options win over it, and config.json shows every value',
    '  --config FILE        settings as JSON, under the names of config.json; options given beside it win',
    '  --no-average         under mpirun or srun: no gradients are exchanged, and the model of rank 0 is the one that is',
    '                       saved, as in the published code, whose ranks never averaged theirs (short for --exchange none)',
    '  --json               the outcome as one JSON line on stdout',
    '  --evaluate-panoptic J, --evaluate-images DIR, --evaluate-masks DIR',
    '                       COCO panoptic data whose regions are named before training and after each epoch',
    '  --evaluate-embeddings F',
    '                       class embeddings (.npy) to name them with; the default prompts without it',
    ...settings,
  ].join('\n');
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** `clipself train`. */
export async function trainCommand(args: string[]): Promise<void> {
  const values: Values = parseArgs({ args, options }).values;
  if (values.help) {
    console.log(help());
    return;
  }
  await inWorld(world => trainInWorld(world, values));
}

/**
 * What `clipself train` would do with these options.
 *
 * @throws UsageError or SettingError when it would refuse them at once.
 */
export function readTrainArguments(
  args: string[],
): Promise<{ directory: string; request: TrainingRequest | null }> {
  return readRequest(parseArgs({ args, options }).values);
}

/** Of several ranks the leading one speaks to the user; the others write their logs. */
async function trainInWorld(world: World, values: Values): Promise<void> {
  const { directory, request } = await agreeing(world, () => readRequest(values));
  const log = new RunLog(leads(world) ? process.stderr : { write: () => undefined });
  // mpirun ends its processes soon after it has passed on the other signals; batch scripts send this one.
  const launched = world.size > 1 || process.env.SLURM_JOB_ID !== undefined;
  const stop = new StopSwitch(launched ? ['SIGUSR2'] : []);
  try {
    const outcome = await train(world, directory, request, log, stop);
    log.endProgress();
    if (!leads(world)) return;
    if (values.json) console.log(JSON.stringify({ directory, ...outcome }));
    else report(directory, outcome);
  } finally {
    log.endProgress();
  }
}

function report(directory: string, outcome: Awaited<ReturnType<typeof train>>): void {
  const { state, step, before, after } = outcome;
  console.log(`${state} after step ${step}: ${directory}`);
  if (before === null || after === null) return;
  const change = `${before.toFixed(4)} → ${after.toFixed(4)}`;
  console.log(`mean student/teacher cosine on held-out patches: ${change}`);
}

async function readRequest(values: Values): Promise<{ directory: string; request: TrainingRequest | null }> {
  if (typeof values.resume === 'string') {
    const others = Object.keys(values).filter(name => name !== 'resume' && name !== 'json');
    if (others.length > 0)
      throw new UsageError(`--resume takes all settings from the run; leave out --${others.join(', --')}`);
    return { directory: path.resolve(values.resume), request: null };
  }
  const given: Partial<TrainingSettings> = {
    ...presetOf(values.preset),
    ...(await readConfigOption(values.config)),
    ...readOptions(values),
  };
  const { model, images, arch } = given;
  if (typeof values.out !== 'string' || model === undefined || images === undefined)
    throw new UsageError('train needs --model, --images and --out, or --resume RUN (clipself train --help)');
  // A run outlives the folder that its command was given in.
  const absolute = { model: path.resolve(await modelPath(model)), images: absoluteImages(images) };
  const request = {
    ...given,
    ...absolute,
    ...absolutePaths(given),
    ...(arch?.endsWith('.json') ? { arch: path.resolve(arch) } : {}),
  };
  return { directory: path.resolve(values.out), request };
}

function presetOf(name: string | boolean | undefined): Recipe {
  if (typeof name !== 'string') return {};
  if (isRecipeName(name)) return recipes[name];
  throw new SettingError(`--preset takes ${recipeNames.join(', ')}; got '${name}'`);
}

function absolutePaths(given: Partial<TrainingSettings>): Partial<TrainingSettings> {
  const paths: Partial<TrainingSettings> = {};
  for (const name of [...evaluationPaths, ...regionPaths]) {
    const file = given[name];
    if (typeof file === 'string') paths[name] = path.resolve(file);
  }
  return paths;
}

function readOptions(values: Values): Partial<TrainingSettings> {
  const settings: Record<string, string | number> = {};
  for (const [name, option] of Object.entries(textOptions)) {
    const text = values[optionName(option)];
    if (typeof text === 'string') settings[name] = text;
  }
  if (values['no-average']) settings.exchange = 'none';
  for (const name of numericSettings) {
    const { option } = settingRanges[name];
    const text = values[optionName(option)];
    if (typeof text === 'string') settings[name] = readNumber(option, text);
  }
  return settings;
}

function readNumber(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw new SettingError(`${option} takes a number; got '${text}'`);
  return value;
}

/** Settings of a JSON file: either bare, or the `settings` of a run's config.json. */
async function readConfigOption(file: string | boolean | undefined): Promise<Partial<TrainingSettings>> {
  if (typeof file !== 'string') return {};
  const content = await readJson(file);
  const settings = isJsonObject(content) && isJsonObject(content.settings) ? content.settings : content;
  const advice = 'Use the setting names of a run’s config.json';
  if (!isJsonObject(settings)) throw new FileError(file, 'it holds no JSON object', advice);
  for (const [name, value] of Object.entries(settings)) {
    const isText =
      Object.hasOwn(textOptions, name) &&
      (typeof value === 'string' || (optionalTexts.has(name) && value === null));
    const isNumber = Object.hasOwn(settingRanges, name) && typeof value === 'number';
    if (!isText && !isNumber)
      throw new FileError(file, `'${name}' is no setting, or has the wrong type`, advice);
  }
  return settings as Partial<TrainingSettings>;
}
