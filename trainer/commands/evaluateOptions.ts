import path from 'node:path';
import { parseArgs } from 'node:util';
import { type AnnotationKind, annotationKinds, type DataRequest } from '../evaluate/openData.ts';
import { absoluteImages } from '../shards/shardPattern.ts';
import { UsageError } from '../usageError.ts';
import { type MeasureOptions, measureOptions, readMeasureOptions } from './measureOptions.ts';
import { absolutePath, sizeInPixels } from './optionValues.ts';

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
  --arch A           known architecture or open_clip_config.json, where --model or --teacher does not tell
  --engine E  --threads N  --json`;

const options = {
  ...measureOptions,
  panoptic: { type: 'string' },
  instances: { type: 'string' },
  boxes: { type: 'string' },
  sizes: { type: 'string' },
  'image-labels': { type: 'string' },
  teacher: { type: 'string' },
} as const;

export interface EvaluateOptions extends Omit<DataRequest, 'skipBroken'>, MeasureOptions {
  /** Share α of the student in the blend that is evaluated, of a checkpoint; null: what the run gives away. */
  blend: number | null;
  sizes: number[];
  imageLabels: string | null;
  teacher: string | null;
}

/**
 * Parses the options of `clipself evaluate`.
 *
 * @param command What messages call the command that takes them.
 * @returns null when help was asked for.
 * @throws UsageError or SettingError.
 */
export function readEvaluateOptions(args: string[], command = 'evaluate'): EvaluateOptions | null {
  const { values } = parseArgs({ args, options });
  if (values.help) return null;
  const { model, images, out, masks } = values;
  if (model === undefined || images === undefined || out === undefined)
    throw new UsageError(`${command} needs --model, --images and --out (clipself ${command} --help)`);
  const { kind, annotations } = chosenAnnotations(values, command);
  if ((kind === 'panoptic') !== (masks !== undefined))
    throw new UsageError(
      '--panoptic needs --masks, the folder of its PNG files; the others have no such folder',
    );
  return {
    ...readMeasureOptions({ ...values, model, out }),
    blend: null,
    kind,
    annotations,
    // Reports are read from anywhere.
    folders: { images: absoluteImages(images), masks: absolutePath(masks) },
    sizes: furtherSizes(values.sizes),
    imageLabels: values['image-labels'] ?? null,
    teacher: values.teacher ?? null,
  };
}

const furtherSizes = (list: string | undefined): number[] =>
  list === undefined ? [] : [...new Set(list.split(',').map(text => sizeInPixels(text, '--sizes')))];

function chosenAnnotations(
  values: Partial<Record<AnnotationKind, string>>,
  command: string,
): {
  kind: AnnotationKind;
  annotations: string;
} {
  const given = annotationKinds.filter(kind => values[kind] !== undefined);
  const [kind] = given;
  if (kind === undefined || given.length > 1)
    throw new UsageError(`${command} needs one of --panoptic, --instances and --boxes`);
  return { kind, annotations: path.resolve(values[kind]!) };
}
