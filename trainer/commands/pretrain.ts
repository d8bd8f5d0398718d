import path from 'node:path';
import { parseArgs } from 'node:util';
import { engineNames } from '../engines/createEngine.ts';
import { pretrain } from '../pretrain/pretrain.ts';
import type { PretrainOutcome } from '../pretrain/pretrainRun.ts';
import { pretrainDefaults, pretrainNumbers, pretrainRanges } from '../pretrain/settings.ts';
import { describeScores } from '../pretrain/zeroShot.ts';
import type { PretrainSettings } from '../protocol.ts';
import { RunLog } from '../runs/runLog.ts';
import { StopSwitch } from '../server.ts';
import { UsageError } from '../usageError.ts';
import { styleNames } from '../world/styles.ts';
import { realNumber, wholeNumber } from './optionValues.ts';

/** Threads that may render: each has a copy of the program and of little else. */
const mostWorkers = 256;

const optionName = (option: string): string => option.slice(2);

const options = {
  ...Object.fromEntries(
    pretrainNumbers.map(name => [optionName(pretrainRanges[name].option), { type: 'string' as const }]),
  ),
  arch: { type: 'string' as const },
  from: { type: 'string' as const },
  styles: { type: 'string' as const },
  engine: { type: 'string' as const },
  out: { type: 'string' as const },
  resume: { type: 'string' as const },
  workers: { type: 'string' as const },
  json: { type: 'boolean' as const },
  help: { type: 'boolean' as const, short: 'h' },
};

function help(): string {
  const numbers = pretrainNumbers.map(name => {
    const { option, least, most, meaning } = pretrainRanges[name];
    const standard = Number(pretrainDefaults[name].toPrecision(4));
    return `  ${option.padEnd(20)} ${meaning}; ${least} … ${most}, default ${standard}`;
  });
  return [
    'usage: clipself pretrain --out RUN [options]',
    '       clipself pretrain --resume RUN',
    '',
    'Trains a tiny CLIP from scratch on Emoji World, with the contrastive loss between crops of endless rendered scenes and',
    'sentences about them. RUN becomes a run directory and a model folder at once: open_clip_model.safetensors,',
    'open_clip_config.json, tokenizer.json. The icons are development dependencies: this works in a clone, after npm ci.',
    'The same command on a RUN that exists resumes it. Ctrl-C finishes the step, saves and exits 0.',
    '',
    'Scenes are rendered on threads of their own.',
    '',
    '  --arch FILE          an open_clip_config.json; the tiny CLIP without it (48 px, patch 8, width 128, 6 layers)',
    '  --from MODEL         starts from the weights of a model that pretrain made, not from random ones',
    `  --styles LIST        drawing styles trained on, of ${styleNames.join(', ')};`,
    `                       default ${pretrainDefaults.styles}`,
    `  --engine NAME        ${engineNames.join(', ')}; default auto`,
    `  --workers N          threads that render scenes; 1 … ${mostWorkers}, default 1. The run is the same whatever their`,
    '                       number; resumed, it may have others',
    '  --json               the outcome as one JSON line on stdout',
    ...numbers,
  ].join('\n');
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** `clipself pretrain`. */
export async function pretrainCommand(args: string[]): Promise<void> {
  const values: Values = parseArgs({ args, options }).values;
  if (values.help) {
    console.log(help());
    return;
  }
  const { directory, request } = readRequest(values);
  const workers =
    typeof values.workers === 'string' ? wholeNumber('--workers', values.workers, 1, mostWorkers) : 1;
  const log = new RunLog(process.stderr);
  try {
    const outcome = await pretrain(directory, request, log, new StopSwitch(), workers);
    log.endProgress();
    if (values.json) console.log(JSON.stringify({ directory, ...outcome }));
    else report(directory, outcome);
  } finally {
    log.endProgress();
  }
}

function report(directory: string, { state, step, scores }: PretrainOutcome): void {
  console.log(`${state} after step ${step}: ${directory}`);
  if (scores) console.log(`zero-shot accuracy on crops: ${describeScores(scores)}`);
}

function readRequest(values: Values): { directory: string; request: Partial<PretrainSettings> | null } {
  if (typeof values.resume === 'string') {
    const others = Object.keys(values).filter(name => !['resume', 'json', 'workers'].includes(name));
    if (others.length > 0)
      throw new UsageError(`--resume takes all settings from the run; leave out --${others.join(', --')}`);
    return { directory: path.resolve(values.resume), request: null };
  }
  if (typeof values.out !== 'string')
    throw new UsageError('pretrain needs --out RUN, or --resume RUN (clipself pretrain --help)');
  const request: Partial<PretrainSettings> = {};
  // A run outlives the folder that its command was given in.
  if (typeof values.arch === 'string') request.arch = path.resolve(values.arch);
  if (typeof values.from === 'string') request.from = path.resolve(values.from);
  if (typeof values.styles === 'string') request.styles = values.styles;
  if (typeof values.engine === 'string') request.engine = values.engine;
  for (const name of pretrainNumbers) {
    const { option, least, most, whole } = pretrainRanges[name];
    const text = values[optionName(option)];
    if (typeof text === 'string')
      request[name] = (whole ? wholeNumber : realNumber)(option, text, least, most);
  }
  return { directory: path.resolve(values.out), request };
}
