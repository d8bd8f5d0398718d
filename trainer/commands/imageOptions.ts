import { parseArgs } from 'node:util';
import { checkRange, SettingError } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';

const common = {
  model: { type: 'string' },
  arch: { type: 'string' },
  image: { type: 'string' },
  size: { type: 'string' },
  out: { type: 'string' },
  boxes: { type: 'string' },
  engine: { type: 'string', default: 'auto' },
  threads: { type: 'string', default: '0' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** What the commands that read features of one image are asked for. */
export interface ImageOptions {
  model: string;
  arch: string | null;
  image: string;
  size: number;
  out: string;
  engine: string;
  threads: number;
  json: boolean;
}

type Needed = 'model' | 'image' | 'size' | 'out' | 'boxes';

/** Parses the options of `features` and `regions`; null when help was asked for. */
export function readImageOptions(
  command: string,
  needed: readonly Needed[],
  args: string[],
): (ImageOptions & { boxes: string }) | null {
  const { values } = parseArgs({ args, options: common });
  if (values.help) return null;
  const missing = needed.filter(name => values[name] === undefined);
  if (missing.length > 0)
    throw new UsageError(`${command} needs --${missing.join(', --')} (clipself ${command} --help)`);
  if (values.boxes !== undefined && !needed.includes('boxes'))
    throw new UsageError(`${command} takes no --boxes`);
  const number = (name: 'size' | 'threads'): number => {
    const value = Number(values[name]);
    checkRange(name, Number.isNaN(value) ? values[name] : value);
    return value;
  };
  return {
    model: values.model!,
    arch: values.arch ?? null,
    image: values.image!,
    size: number('size'),
    out: values.out!,
    boxes: values.boxes ?? '',
    engine: values.engine,
    threads: number('threads'),
    json: values.json,
  };
}

/** The padded image must be cut into whole patches. */
export function checkSize(size: number, patchSize: number): void {
  if (size % patchSize !== 0)
    throw new SettingError(`--size must be a multiple of the patch size ${patchSize}; got ${size}`);
}
