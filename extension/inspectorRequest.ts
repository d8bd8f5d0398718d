import path from 'node:path';
import type { ModelSource } from '../webview/inspector/protocol/models.ts';
import { inspectorViews } from '../webview/inspector/protocol/state.ts';
import { IMAGE_EXTENSIONS } from './candidates.ts';
import { absolutePath, isPlainObject, rejectUnknown, wholeNumber } from './commandArguments.ts';
import { type InspectorWishes, isInspectorView, MAXIMUM_IMAGES, SIZE_RANGE } from './inspectorState.ts';

/**
 * Argument of the command `clipself.inspectDenseFeatures`, for key bindings, tasks and other extensions. What is left out
 * is taken from what the workspace remembers. The command returns the paths of the images it shows.
 */
export interface InspectArguments extends InspectorWishes {
  /** Image files, absolute paths; several are shown in one panel, one at a time. */
  images: string[];
}

const known = ['images', 'model', 'size', 'view'];

/** Whether the command was called with its documented argument rather than from a menu. */
export function isInspectArgument(value: unknown): value is Record<string, unknown> {
  return isPlainObject(value) && 'images' in value;
}

/**
 * Checks the argument of the command, which is free text in a key binding.
 *
 * @param demoModel Folder of the model that ships, which goes by its own name.
 * @throws Error naming the entry that cannot be used.
 */
export function parseInspectArguments(value: Record<string, unknown>, demoModel: string): InspectArguments {
  rejectUnknown('clipself.inspectDenseFeatures', value, known);
  const { model, size, view } = value;
  const { minimum, maximum } = SIZE_RANGE;
  if (view !== undefined && !isInspectorView(view)) {
    throw new Error(`“${String(view)}” is not a view. Known: ${inspectorViews.join(', ')}.`);
  }
  return {
    images: parseImages(value.images),
    ...(model === undefined ? {} : { source: sourceOf(absolutePath('model', model), demoModel) }),
    ...(size === undefined ? {} : { size: wholeNumber('size', size, minimum, maximum) }),
    ...(view === undefined ? {} : { view }),
  };
}

const sourceOf = (file: string, demoModel: string): ModelSource =>
  file === demoModel ? { kind: 'demo' } : { kind: 'file', path: file };

function parseImages(value: unknown): string[] {
  const images = Array.isArray(value) ? value : [value];
  if (images.length === 0) throw new Error('“images” must name at least one image file.');
  return checkImages(images.map(image => absolutePath('images', image)));
}

/** @throws Error when there are too many images, or one is of a kind that is not read. */
export function checkImages(images: string[]): string[] {
  const unique = [...new Set(images)];
  if (unique.length > MAXIMUM_IMAGES) {
    throw new Error(`One panel shows at most ${MAXIMUM_IMAGES} images; ${unique.length} were chosen.`);
  }
  const other = unique.find(image => !isImageFile(image));
  if (other !== undefined) {
    throw new Error(`${other} is no image that can be inspected. Known are ${IMAGE_EXTENSIONS.join(', ')}.`);
  }
  return unique;
}

export function isImageFile(file: string): boolean {
  const extension = path.extname(file).slice(1).toLowerCase();
  return IMAGE_EXTENSIONS.some(image => image === extension);
}
