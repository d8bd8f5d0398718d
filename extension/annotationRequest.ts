import { createHash } from 'node:crypto';
import path from 'node:path';

/** What regions are made of: proposals alone, or proposals named by a model. */
export interface AnnotationRequest {
  /** Folder of images. Absolute path. */
  images: string;
  /** The model that names regions, and the file of nouns. Absolute paths; null: regions are not named. */
  naming: { model: string; classes: string } | null;
}

/** Whether a command was called by a program: with a folder of images. */
export const isAnnotationArgument = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.getPrototypeOf(value) === Object.prototype &&
  'images' in value &&
  typeof value.images === 'string';

/**
 * Checks the argument of the commands, which is free text in a key binding; null where the user is to be asked.
 *
 * @throws Error naming the entry that cannot be used.
 */
export function parseAnnotationArguments(value: unknown, named: boolean): AnnotationRequest | null {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return null;
  const fields = value as Readonly<Record<string, unknown>>;
  const known = named ? ['images', 'model', 'classes'] : ['images'];
  for (const name of Object.keys(fields))
    if (!known.includes(name)) throw new Error(`“${name}” is not an argument. Known: ${known.join(', ')}.`);
  const absolute = (name: string): string => {
    const file = fields[name];
    if (typeof file === 'string' && path.isAbsolute(file)) return path.normalize(file);
    throw new Error(`“${name}” must be an absolute path, not ${JSON.stringify(file)}.`);
  };
  const images = absolute('images');
  return { images, naming: named ? { model: absolute('model'), classes: absolute('classes') } : null };
}

/** Where the annotations go: the same question has the same place, so that one that was cut goes on there. */
export function annotationPath(folder: string, request: AnnotationRequest): string {
  const { images, naming } = request;
  const mark = createHash('sha256').update(JSON.stringify(request)).digest('hex').slice(0, 6);
  const name = `${path.basename(images)}-${naming === null ? 'proposals' : 'pairs'}-${mark}.json`;
  return path.join(folder, name);
}

/** Arguments of `clipself`. */
export function annotationArguments({ images, naming }: AnnotationRequest, out: string): string[] {
  const common = ['--images', images, '--out', out, '--json'];
  if (naming === null) return ['propose', ...common];
  return ['pseudo-label', ...common, '--model', naming.model, '--classes', naming.classes];
}
