import { type ColourMapName, colourMapNames, isColourMapName } from '../dense/colourMaps.ts';
import { type DenseReadOut, denseReadOuts } from '../models/visionStages.ts';
import { SettingError } from '../training/settings.ts';
import {
  type ImageOptions,
  imageHelp,
  imageUsage,
  type OwnOptions,
  type OwnValues,
  readImageOptions,
} from './imageOptions.ts';
import { realNumber } from './optionValues.ts';

/** Options of every command that draws a view over an image. */
const drawing = {
  opacity: { type: 'string' },
  bilinear: { type: 'boolean' },
  csv: { type: 'string' },
} as const;

/** Of commands that draw values. */
export const coloursHelp = `  --colours C   ${colourMapNames.join(', ')}`;

/** The colour map of `--colours`; viridis without it. */
export function colourMapOption(own: OwnValues): ColourMapName {
  const name = own.get('colours') ?? 'viridis';
  if (isColourMapName(name)) return name;
  throw new SettingError(`--colours takes ${colourMapNames.join(', ')}; got '${name}'`);
}

/** The options that `overlayHelp` describes, for the first line of a command's help. */
export const overlayUsage = `--model M --image F --out overlay.png [--opacity 0.6] [--bilinear] [--csv F] ${imageUsage}`;

export const overlayHelp = `${imageHelp()}
  --opacity O   0 (the image alone) to 1 (the map alone)
  --bilinear    smooth colours instead of one flat square a patch
  --csv F       the map's numbers as well, a line a patch`;

/** What a view is drawn of and how. */
export interface OverlayOptions extends ImageOptions<DenseReadOut> {
  opacity: number;
  bilinear: boolean;
  csv: string | null;
}

/**
 * Parses the options of a drawing command.
 *
 * @param own Options beside the shared ones.
 * @returns null when help was asked for.
 * @throws UsageError or SettingError.
 */
export function readOverlayOptions(
  command: string,
  own: OwnOptions,
  args: string[],
): { options: OverlayOptions; own: OwnValues } | null {
  const read = readImageOptions(command, { ...own, ...drawing }, denseReadOuts, args);
  if (!read) return null;
  const options: OverlayOptions = {
    ...read.options,
    opacity: realNumber('--opacity', read.own.get('opacity') ?? '0.6', 0, 1),
    bilinear: read.own.has('bilinear'),
    csv: read.own.get('csv') ?? null,
  };
  return { options, own: read.own };
}
