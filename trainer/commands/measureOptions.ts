/** Options of the commands that measure a model on annotated images: `evaluate` and `segment`. */
import type { WordsChoice } from '../evaluate/words.ts';
import { UsageError } from '../usageError.ts';
import { engineOptions, modelOptions, outputOptions } from './commonOptions.ts';
import { absolutePath, sizeInPixels, stepNumber, threadNumber, wholeNumber } from './optionValues.ts';

/** For `parseArgs`. */
export const measureOptions = {
  ...modelOptions,
  images: { type: 'string' },
  masks: { type: 'string' },
  embeddings: { type: 'string' },
  prompts: { type: 'string' },
  size: { type: 'string' },
  limit: { type: 'string' },
  'skip-broken': { type: 'boolean', default: false },
  out: { type: 'string' },
  ...engineOptions,
  ...outputOptions,
} as const;

export interface MeasureOptions extends WordsChoice {
  model: string;
  arch: string | null;
  step: number | null;
  /** Null: twice the pretraining size. */
  size: number | null;
  limit: number | null;
  skipBroken: boolean;
  /** File of the report. */
  out: string;
  engine: string;
  threads: number;
  json: boolean;
}

type Text = 'arch' | 'step' | 'embeddings' | 'prompts' | 'size' | 'limit';

/** What `parseArgs` makes of them; model and output are there. */
interface MeasureValues extends Partial<Record<Text, string>> {
  model: string;
  out: string;
  'skip-broken': boolean;
  engine: string;
  threads: string;
  json: boolean;
}

/** @throws UsageError or SettingError. */
export function readMeasureOptions(values: MeasureValues): MeasureOptions {
  const { model, arch = null, step, embeddings, prompts, size, limit, out, engine, threads, json } = values;
  if (embeddings !== undefined && prompts !== undefined)
    throw new UsageError('--embeddings and --prompts exclude each other');
  if (!/\.json$/i.test(out)) throw new UsageError(`--out must end with .json; got '${out}'`);
  return {
    ...{ model, arch, out, engine, json },
    step: stepNumber(step),
    embeddings: absolutePath(embeddings),
    prompts: absolutePath(prompts),
    size: size === undefined ? null : sizeInPixels(size),
    limit: limit === undefined ? null : wholeNumber('--limit', limit, 1, 1e9),
    skipBroken: values['skip-broken'],
    threads: threadNumber(threads),
  };
}
