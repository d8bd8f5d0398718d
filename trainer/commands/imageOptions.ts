import { parseArgs } from 'node:util';
import { denseReadOuts } from '../models/visionStages.ts';
import { SettingError } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import { engineOptions, modelOptions, outputOptions } from './commonOptions.ts';
import { sizeInPixels, stepNumber, threadNumber, wholeNumber } from './optionValues.ts';

/** Options of every command that reads features of one image. */
const shared = {
  ...modelOptions,
  image: { type: 'string' },
  size: { type: 'string' },
  'read-out': { type: 'string', default: 'value' },
  layer: { type: 'string' },
  out: { type: 'string' },
  ...engineOptions,
  ...outputOptions,
} as const;

/** The options that `imageHelp` describes, for the first line of a command's help. */
export const imageUsage =
  '[--size S] [--read-out R] [--layer L] [--arch A] [--step N] [--engine E] [--threads N] [--json]';

/** @param readOuts What the command takes for `--read-out`. */
export const imageHelp = (readOuts: readonly string[] = denseReadOuts): string =>
  `  --model M     weights file, folder of a model, or run directory
  --step N      checkpoint of the run; its student without it
  --size S      longest side of the image as the model sees it, in pixels; twice the pretraining size
                without it. What is left beyond the last whole patch is not seen
  --read-out R  ${readOuts.join(', ')}; CLIPSelf's value path without it
  --layer L     block that is read out, from 1; the last without it`;

/** What the commands that read features of one image are asked for. */
export interface ImageOptions<ReadOut extends string> {
  model: string;
  arch: string | null;
  /** Checkpoint of the run that `model` names; null for its student, and for any other model. */
  step: number | null;
  image: string;
  /** Null: twice the pretraining size. */
  size: number | null;
  readOut: ReadOut;
  /** Null: the last block. */
  layer: number | null;
  out: string;
  engine: string;
  threads: number;
  json: boolean;
}

/** An option of one command alone; every one takes a value unless it is a flag. */
export type OwnOptions = Readonly<Record<string, { type: 'string' | 'boolean' }>>;

/** A command's own options as text, flags as ''; those not given are missing. */
export type OwnValues = ReadonlyMap<string, string>;

/**
 * Parses the options of a command that reads features of one image.
 *
 * @param own Options beside the shared ones.
 * @param readOuts What `--read-out` may be.
 * @returns null when help was asked for.
 * @throws UsageError or SettingError.
 */
export function readImageOptions<ReadOut extends string>(
  command: string,
  own: OwnOptions,
  readOuts: readonly ReadOut[],
  args: string[],
): { options: ImageOptions<ReadOut>; own: OwnValues } | null {
  const { values } = parseArgs({ args, options: { ...own, ...shared } });
  if (values.help) return null;
  const { model, out } = values;
  // A command may take many images instead of one, as an option of its own.
  const given: Readonly<Record<string, unknown>> = values;
  const image = values.image ?? given.images;
  if (model === undefined || typeof image !== 'string' || out === undefined)
    throw new UsageError(`${command} needs --model, --image and --out (clipself ${command} --help)`);
  const readOut = readOuts.find(name => name === values['read-out']);
  if (!readOut)
    throw new SettingError(`--read-out takes ${readOuts.join(', ')}; got '${values['read-out']}'`);
  const options: ImageOptions<ReadOut> = {
    model,
    arch: values.arch ?? null,
    step: stepNumber(values.step),
    image,
    size: values.size === undefined ? null : sizeInPixels(values.size),
    readOut,
    layer: values.layer === undefined ? null : wholeNumber('--layer', values.layer, 1, 1000),
    out,
    engine: values.engine,
    threads: threadNumber(values.threads),
    json: values.json,
  };
  return { options, own: ownValues(own, values) };
}

function ownValues(own: OwnOptions, values: Readonly<Record<string, unknown>>): OwnValues {
  const given = new Map<string, string>();
  for (const name of Object.keys(own)) {
    const value = values[name];
    if (typeof value === 'string') given.set(name, value);
    else if (value === true) given.set(name, '');
  }
  return given;
}
