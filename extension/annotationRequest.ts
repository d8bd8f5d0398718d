import path from 'node:path';
import { absolutePath, isPlainObject, rejectUnknown } from './commandArguments.ts';
import { requestMark } from './requestMark.ts';

/** What regions are made of: proposals alone, or proposals named by a model. */
export interface AnnotationRequest {
  /** Folder of images. Absolute path. */
  images: string;
  /** The model that names regions, and the file of nouns. Absolute paths; null: regions are not named. */
  naming: { model: string; classes: string } | null;
}

/** Whether a command was called by a program: with a folder of images. */
export const isAnnotationArgument = (value: unknown): boolean =>
  isPlainObject(value) && typeof value.images === 'string';

/**
 * Checks the argument of the commands, which is free text in a key binding; null where the user is to be asked.
 *
 * @throws Error naming the entry that cannot be used.
 */
export function parseAnnotationArguments(value: unknown, named: boolean): AnnotationRequest | null {
  if (!isPlainObject(value)) return null;
  if (named) rejectUnknown('clipself.pseudoLabel', value, ['images', 'model', 'classes']);
  else rejectUnknown('clipself.propose', value, ['images']);
  const absolute = (name: string): string => absolutePath(name, value[name]);
  const images = absolute('images');
  return { images, naming: named ? { model: absolute('model'), classes: absolute('classes') } : null };
}

/** Where the annotations go: the same question has the same place, so that one that was cut goes on there. */
export function annotationPath(folder: string, request: AnnotationRequest): string {
  const { images, naming } = request;
  const mark = requestMark(request);
  const name = `${path.basename(images)}-${naming === null ? 'proposals' : 'pairs'}-${mark}.json`;
  return path.join(folder, name);
}

/** Arguments of `clipself`. */
export function annotationArguments({ images, naming }: AnnotationRequest, out: string): string[] {
  const common = ['--images', images, '--out', out, '--json'];
  if (naming === null) return ['propose', ...common];
  return ['pseudo-label', ...common, '--model', naming.model, '--classes', naming.classes];
}
