import path from 'node:path';
import { absolutePath, isPlainObject, rejectUnknown, trueOrFalse, wholeNumber } from './commandArguments.ts';
import { requestMark } from './requestMark.ts';

/**
 * Argument of the command `clipself.evaluate`, for key bindings, tasks and other extensions. What is given is not asked
 * for; with `model`, `panoptic`, `images` and `masks` nothing is asked. The command returns the path of the report, null
 * when it was cancelled.
 */
export interface EvaluateArguments {
  /** Weights file, folder of a model, or run directory. Absolute path. */
  model?: string;
  /** COCO panoptic annotations. Absolute path. */
  panoptic?: string;
  /** Folder of their images. Absolute path. */
  images?: string;
  /** Folder of their PNG files. Absolute path. */
  masks?: string;
  /** Class embeddings (`.npy`), absolute path; null: the model's own text tower reads the default prompts. */
  embeddings?: string | null;
  /** Longest side of the image in pixels; null: twice the pretraining size. */
  size?: number | null;
  /** Whether to open the report; true by default. */
  open?: boolean;
}

/** Everything that an evaluation is started with. */
export type EvaluationChoice = Required<Omit<EvaluateArguments, 'open'>>;

const paths = ['model', 'panoptic', 'images', 'masks'] as const;
const known = [...paths, 'embeddings', 'size', 'open'];

/**
 * Checks the argument of the command, which is free text in a key binding. Anything that is not a plain object, such as
 * what menus pass, counts as no argument.
 *
 * @throws Error naming the entry that cannot be used.
 */
export function parseEvaluateArguments(value: unknown): EvaluateArguments {
  if (!isPlainObject(value)) return {};
  rejectUnknown('clipself.evaluate', value, known);
  const { embeddings, size, open } = value;
  const result: EvaluateArguments = {};
  for (const name of paths) if (value[name] !== undefined) result[name] = absolutePath(name, value[name]);
  if (embeddings !== undefined)
    result.embeddings = embeddings === null ? null : absolutePath('embeddings', embeddings);
  if (size !== undefined) result.size = size === null ? null : wholeNumber('size', size, 16, 8192);
  if (open !== undefined) result.open = trueOrFalse('open', open);
  // Nothing is asked of a program: what it leaves open takes its default.
  return isEvaluateCall(value) ? { embeddings: null, size: null, ...result } : result;
}

/** Whether the command was called by a program rather than by a person: its argument leaves nothing to ask. */
export function isEvaluateCall(argument: unknown): boolean {
  return isPlainObject(argument) && paths.every(name => argument[name] !== undefined);
}

const nameOf = (file: string): string =>
  path.basename(file).replace(/\.(json|npy|safetensors|pt|pth|bin)$/i, '');

/**
 * Where the report of an evaluation goes: the same question has the same place, so that one that was cut goes on there.
 *
 * @param folder Where evaluations are put.
 */
export function evaluationReportPath(folder: string, choice: EvaluationChoice): string {
  const { model, panoptic, size } = choice;
  const mark = requestMark(choice);
  const name = [nameOf(model), nameOf(panoptic), ...(size === null ? [] : [`${size}px`]), mark].join('-');
  return path.join(folder, name, 'report.json');
}

/** Arguments of `clipself` that evaluate. */
export function evaluateArguments(choice: EvaluationChoice, report: string): string[] {
  const { model, panoptic, images, masks, embeddings, size } = choice;
  return [
    'evaluate',
    ...['--model', model, '--panoptic', panoptic, '--images', images, '--masks', masks, '--out', report],
    ...(embeddings === null ? [] : ['--embeddings', embeddings]),
    ...(size === null ? [] : ['--size', String(size)]),
    '--json',
  ];
}

/**
 * Folders that belong to COCO panoptic annotations by COCO's own names: `annotations/panoptic_val2017.json` has its PNG
 * files in `annotations/panoptic_val2017` and its images in `val2017` or `images/val2017`. They may not exist.
 */
export function likelyFolders(panoptic: string): { images: string[]; masks: string[] } {
  const folder = path.dirname(panoptic);
  const name = nameOf(panoptic);
  const part = name.replace(/^panoptic_/, '');
  const places = [folder, path.dirname(folder)];
  return {
    images: places.flatMap(place => [path.join(place, part), path.join(place, 'images', part)]),
    masks: places.map(place => path.join(place, name)).filter(place => place !== panoptic),
  };
}
