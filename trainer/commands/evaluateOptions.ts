import path from 'node:path';
import { parseArgs } from 'node:util';
import { type AnnotationKind, annotationKinds, type DataRequest } from '../evaluate/openData.ts';
import type { WordsChoice } from '../evaluate/words.ts';
import { absoluteImages } from '../shards/shardPattern.ts';
import { checkRange, SettingError } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import { wholeNumber } from './imageOptions.ts';

export const evaluateHelp = `usage: clipself evaluate --model M --panoptic J --images DIR --masks DIR --out report.json
                         [--embeddings F.npy | --prompts FILE] [--size S] [options]
       clipself evaluate --model M (--instances J | --boxes J) --images DIR --out report.json [options]

Names annotated regions with words: by dense features pooled over boxes (rois) and masks (maskpool), and by the
embeddings of image crops. Writes the report, and a line a region beside it. Ctrl-C finishes the image; the same
command goes on there, and reads a finished report back.

  --model M          weights file, folder of a model, or run directory
  --step N           checkpoint of the run; its student without it
  --panoptic J       COCO panoptic annotations, with --masks, the folder of their PNG files
  --instances J      COCO instances: boxes with polygons or run lengths
  --boxes J          {"classes": ["cat", …], "boxes": [{"image": "a.jpg", "box": [x0, y0, x1, y1], "class": "cat"}, …]}
  --images DIR       folder of the images, or shards such as 'shards/{0000..0117}.tar' whose members have their names
  --embeddings F     class embeddings [classes, D], rows by category id
  --prompts F        sentences with {} for the name, a line each or a JSON array; the built-in ones without either
  --size S           longest side of the image in pixels; twice the pretraining size without it
  --sizes S,S,…      further sizes at which the same regions are named by dense features
  --limit N          only the first N images
  --image-labels L   whole images and their classes too: {"file": "class"}, or a folder with one folder a class
  --teacher M        the original to compare whole images with; that of a run is known
  --skip-broken      leave out what is broken or missing, and count it
  --arch A  --engine E  --threads N  --json`;

const options = {
  model: { type: 'string' },
  arch: { type: 'string' },
  step: { type: 'string' },
  panoptic: { type: 'string' },
  instances: { type: 'string' },
  boxes: { type: 'string' },
  images: { type: 'string' },
  masks: { type: 'string' },
  embeddings: { type: 'string' },
  prompts: { type: 'string' },
  size: { type: 'string' },
  sizes: { type: 'string' },
  limit: { type: 'string' },
  'image-labels': { type: 'string' },
  teacher: { type: 'string' },
  'skip-broken': { type: 'boolean', default: false },
  out: { type: 'string' },
  engine: { type: 'string', default: 'auto' },
  threads: { type: 'string', default: '0' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export interface EvaluateOptions extends DataRequest, WordsChoice {
  model: string;
  arch: string | null;
  step: number | null;
  /** Share α of the student in the blend that is evaluated, of a checkpoint; null: what the run gives away. */
  blend: number | null;
  /** Null: twice the pretraining size. */
  size: number | null;
  sizes: number[];
  imageLabels: string | null;
  teacher: string | null;
  out: string;
  engine: string;
  threads: number;
  json: boolean;
}

/**
 * Parses the options of `clipself evaluate`.
 *
 * @returns null when help was asked for.
 * @throws UsageError or SettingError.
 */
export function readEvaluateOptions(args: string[]): EvaluateOptions | null {
  const { values } = parseArgs({ args, options });
  if (values.help) return null;
  const { model, images, out, masks, embeddings, prompts } = values;
  if (model === undefined || images === undefined || out === undefined)
    throw new UsageError('evaluate needs --model, --images and --out (clipself evaluate --help)');
  const { kind, annotations } = chosenAnnotations(values);
  if ((kind === 'panoptic') !== (masks !== undefined))
    throw new UsageError(
      '--panoptic needs --masks, the folder of its PNG files; the others have no such folder',
    );
  if (embeddings !== undefined && prompts !== undefined)
    throw new UsageError('--embeddings and --prompts exclude each other');
  if (!/\.json$/i.test(out)) throw new UsageError(`--out must end with .json; got '${out}'`);
  const limit = values.limit === undefined ? null : wholeNumber('--limit', values.limit, 1, 1e9);
  return {
    model,
    arch: values.arch ?? null,
    step: values.step === undefined ? null : wholeNumber('--step', values.step, 0, 1e9),
    blend: null,
    kind,
    annotations,
    // Reports are read from anywhere.
    folders: { images: absoluteImages(images), masks: absolute(masks) },
    embeddings: absolute(embeddings),
    prompts: absolute(prompts),
    size: values.size === undefined ? null : sizeOf(values.size),
    sizes: values.sizes === undefined ? [] : [...new Set(values.sizes.split(',').map(sizeOf))],
    limit,
    imageLabels: values['image-labels'] ?? null,
    teacher: values.teacher ?? null,
    skipBroken: values['skip-broken'],
    out,
    engine: values.engine,
    threads: wholeNumber('--threads', values.threads, 0, 1024),
    json: values.json,
  };
}

const absolute = (file: string | undefined): string | null =>
  file === undefined ? null : path.resolve(file);

function chosenAnnotations(values: Partial<Record<AnnotationKind, string>>): {
  kind: AnnotationKind;
  annotations: string;
} {
  const given = annotationKinds.filter(kind => values[kind] !== undefined);
  const [kind] = given;
  if (kind === undefined || given.length > 1)
    throw new UsageError('evaluate needs one of --panoptic, --instances and --boxes');
  return { kind, annotations: path.resolve(values[kind]!) };
}

function sizeOf(text: string): number {
  const size = Number(text);
  if (text.trim() === '') throw new SettingError(`--size takes a number of pixels; got '${text}'`);
  checkRange('size', Number.isNaN(size) ? text : size);
  return size;
}
