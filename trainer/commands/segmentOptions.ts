import path from 'node:path';
import { parseArgs } from 'node:util';
import type { LabelRequest } from '../segment/labels.ts';
import { labelFormats } from '../segment/protocol.ts';
import { UsageError } from '../usageError.ts';
import { type MeasureOptions, measureOptions, readMeasureOptions } from './measureOptions.ts';
import { absolutePath, wholeNumber } from './optionValues.ts';

export const segmentHelp = `usage: clipself segment --model M --images DIR --labels J --format panoptic --out report.json [--masks DIR] [options]
       clipself segment --model M --images DIR --labels DIR --format ade20k|voc --classes F --out report.json [options]

Open-vocabulary segmentation without training: every pixel takes the word whose map, enlarged bilinearly, is highest there.
Writes mean IoU and accuracies against the labels, by class, and how well the given regions are named by their boxes and
masks. With two models, or of a run its original and its student, one against the other. Ctrl-C ends it after the image.

  --model M          weights file, folder of a model, or run directory
  --step N           checkpoint of the run; its student without it
  --before M0        what the model is compared with; of a run its original without it
  --alone            compare a run with nothing
  --images DIR       folder of the images
  --format F         panoptic: COCO panoptic annotations, with --masks, the folder of their PNG files; a folder named as
                     the annotations without it. ade20k: PNG files, 0 is left out and n the nth class. voc: PNG files,
                     255 is left out and n the class at position n, of which the first is the background
  --labels P         the annotations, or the folder of the PNG files, which are named as their images
  --classes F        names of the classes, in order: a line each, or JSON
  --embeddings F     class embeddings [classes, D], in the order of the classes
  --prompts F        sentences with {} for the name, a line each or a JSON array; the built-in ones without either
  --size S           longest side of the image in pixels; twice the pretraining size without it
  --limit N          only the first N images
  --overlays DIR     pictures of truth, before and after, of the first images
  --overlay-count N  of how many images; 12 without it
  --skip-broken      leave out what is broken or missing, and count it
  --arch A           known architecture or open_clip_config.json, where --model or --before does not tell
  --engine E  --threads N  --json`;

const options = {
  ...measureOptions,
  before: { type: 'string' },
  alone: { type: 'boolean', default: false },
  labels: { type: 'string' },
  format: { type: 'string' },
  classes: { type: 'string' },
  overlays: { type: 'string' },
  'overlay-count': { type: 'string', default: '12' },
} as const;

export interface SegmentOptions extends LabelRequest, MeasureOptions {
  before: string | null;
  alone: boolean;
  overlays: string | null;
  overlayCount: number;
}

/**
 * Parses the options of `clipself segment`.
 *
 * @returns null when help was asked for.
 * @throws UsageError or SettingError.
 */
export function readSegmentOptions(args: string[]): SegmentOptions | null {
  const { values } = parseArgs({ args, options });
  if (values.help) return null;
  const { model, images, labels, out, masks, classes, before } = values;
  if (model === undefined || images === undefined || labels === undefined || out === undefined)
    throw new UsageError('segment needs --model, --images, --labels and --out (clipself segment --help)');
  const format = labelFormats.find(name => name === values.format);
  if (!format) throw new UsageError(`--format must be ${labelFormats.join(', ')}; got ${values.format}`);
  if ((format === 'panoptic') === (classes !== undefined))
    throw new UsageError('--classes belongs to the formats ade20k and voc, which need it');
  if (format !== 'panoptic' && masks !== undefined)
    throw new UsageError('--masks belongs to --format panoptic');
  if (format === 'panoptic' && !/\.json$/i.test(labels))
    throw new UsageError(`--labels of --format panoptic must end with .json; got '${labels}'`);
  if (before !== undefined && values.alone) throw new UsageError('--before and --alone exclude each other');
  return {
    ...readMeasureOptions({ ...values, model, out }),
    out: path.resolve(out),
    before: before ?? null,
    alone: values.alone,
    format,
    images: path.resolve(images),
    labels: path.resolve(labels),
    masks: absolutePath(masks),
    classes: absolutePath(classes),
    overlays: values.overlays ?? null,
    overlayCount: wholeNumber('--overlay-count', values['overlay-count'], 0, 1000),
  };
}
