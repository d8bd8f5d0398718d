import path from 'node:path';
import { type LabelFormat, labelFormats } from '../trainer/segment/protocol.ts';
import { absolutePath, isPlainObject, rejectUnknown, trueOrFalse, wholeNumber } from './commandArguments.ts';
import { requestMark } from './requestMark.ts';

/**
 * Argument of the command `clipself.segment`, for key bindings, tasks and other extensions. What is given is not asked
 * for; with `model`, `format`, `labels` and `images`, and `classes` where the format needs them, nothing is asked. The
 * command returns the path of the report, null when it was cancelled.
 */
export interface SegmentArguments {
  /** Weights file, folder of a model, or run directory. Absolute path. */
  model?: string;
  /** What a model is compared with. Absolute path; null, the default: of a run its original, else nothing. */
  before?: string | null;
  format?: LabelFormat;
  /** COCO panoptic annotations, or the folder of the label images. Absolute path. */
  labels?: string;
  /** Folder of the images. Absolute path. */
  images?: string;
  /** List of the classes of `ade20k` and `voc`. Absolute path. */
  classes?: string | null;
  /** Longest side of the image in pixels; null: twice the pretraining size. */
  size?: number | null;
  /** Whether to open the report; true by default. */
  open?: boolean;
}

/** Everything that a segmentation is started with. */
export type SegmentChoice = Required<Omit<SegmentArguments, 'open'>>;

const paths = ['model', 'labels', 'images'] as const;
const optionalPaths = ['before', 'classes'] as const;
const known = [...paths, ...optionalPaths, 'format', 'size', 'open'];

/** Whether a format needs a list of its classes. */
export const needsClasses = (format: LabelFormat | undefined): boolean =>
  format === 'ade20k' || format === 'voc';

/**
 * Checks the argument of the command, which is free text in a key binding. Anything that is not a plain object, such as
 * what menus pass, counts as no argument.
 *
 * @throws Error naming the entry that cannot be used.
 */
export function parseSegmentArguments(value: unknown): SegmentArguments {
  if (!isPlainObject(value)) return {};
  rejectUnknown('clipself.segment', value, known);
  const result: SegmentArguments = {};
  for (const name of paths) if (value[name] !== undefined) result[name] = absolutePath(name, value[name]);
  for (const name of optionalPaths)
    if (value[name] !== undefined)
      result[name] = value[name] === null ? null : absolutePath(name, value[name]);
  const { format, size, open } = value;
  if (format !== undefined) {
    const found = labelFormats.find(name => name === format);
    if (!found)
      throw new Error(`“format” must be ${labelFormats.join(', ')}, not ${JSON.stringify(format)}.`);
    result.format = found;
  }
  if (size !== undefined) result.size = size === null ? null : wholeNumber('size', size, 16, 8192);
  if (open !== undefined) result.open = trueOrFalse('open', open);
  // Nothing is asked of a program: what it leaves open takes its default.
  return isSegmentCall(result) ? { before: null, classes: null, size: null, ...result } : result;
}

/** Whether the argument leaves nothing to ask. */
export const isSegmentCall = (given: SegmentArguments): boolean =>
  paths.every(name => given[name] !== undefined) &&
  given.format !== undefined &&
  (!needsClasses(given.format) || typeof given.classes === 'string');

/** Where the report of a segmentation goes, below the folder of evaluations: the same question has the same place. */
export function segmentationReportPath(folder: string, choice: SegmentChoice): string {
  const nameOf = (file: string): string =>
    path.basename(file).replace(/\.(json|safetensors|pt|pth|bin)$/i, '');
  const mark = requestMark(choice);
  const name = ['segmentation', nameOf(choice.model), nameOf(choice.labels), mark].join('-');
  return path.join(folder, name, 'report.json');
}

/** Arguments of `clipself` that segment; pictures go beside the report. */
export function segmentCommandLine(choice: SegmentChoice, report: string): string[] {
  const { model, before, format, labels, images, classes, size } = choice;
  return [
    'segment',
    ...['--model', model, '--format', format, '--labels', labels, '--images', images, '--out', report],
    ...['--overlays', path.join(path.dirname(report), 'overlays')],
    ...(before === null ? [] : ['--before', before]),
    ...(classes === null ? [] : ['--classes', classes]),
    ...(size === null ? [] : ['--size', String(size)]),
    '--json',
  ];
}
