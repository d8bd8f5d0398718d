import path from 'node:path';
import { isShardPattern } from '../trainer/shards/shardPattern.ts';
import type { TunableSettings } from './identifiers.ts';
import { isPresetId, type PresetId, presetIds } from './presets.ts';
import { areAbsolute } from './shardChoice.ts';
import { checkSettings } from './trainingSettings.ts';

/**
 * Argument of the command `clipself.fineTune`, for key bindings, tasks and other extensions. What is given is not
 * asked for; with `model`, `images` and `preset` nothing is asked. The command returns the run directory.
 */
export interface FineTuneArguments {
  /** Weights file, or a directory with `open_clip_config.json`. Absolute path. */
  model?: string;
  /** Folder of images, COCO-style JSON file, or tar shards such as `/a/{0000..0117}.tar`. Absolute paths. */
  images?: string;
  preset?: PresetId;
  /** Settings that win over the preset and the VS Code settings. */
  settings?: Partial<TunableSettings>;
  /** Whether to open the training panel; by default the setting `clipself.trainingPanel.openOnStart` decides. */
  openPanel?: boolean;
}

const known: ReadonlySet<string> = new Set(['model', 'images', 'preset', 'settings', 'openPanel']);

/**
 * Checks the argument of the command, which is free text in a key binding. Anything that is not a plain object, such as
 * what menus pass, counts as no argument.
 *
 * @throws Error naming the entry that cannot be used.
 */
export function parseFineTuneArguments(value: unknown): FineTuneArguments {
  if (!isPlainObject(value)) return {};
  for (const name of Object.keys(value)) {
    if (!known.has(name))
      throw new Error(`“${name}” is not an argument of clipself.fineTune. Known: ${[...known].join(', ')}.`);
  }
  const { preset, settings, openPanel } = value;
  if (preset !== undefined && !isPresetId(preset)) {
    throw new Error(`“${String(preset)}” is not a preset. Known: ${presetIds.join(', ')}.`);
  }
  if (settings !== undefined && !isPlainObject(settings)) throw new Error('“settings” must be an object.');
  if (openPanel !== undefined && typeof openPanel !== 'boolean') {
    throw new Error('“openPanel” must be true or false.');
  }
  return {
    ...absolutePath('model', value.model),
    ...imagesOf(value.images),
    ...(preset === undefined ? {} : { preset }),
    ...(settings === undefined ? {} : { settings: checkSettings(settings) }),
    ...(openPanel === undefined ? {} : { openPanel }),
  };
}

/** Whether a command was called by a program rather than by a person: its argument leaves nothing to ask. */
export function isProgrammatic(argument: unknown): boolean {
  return isPlainObject(argument) && ['model', 'images', 'preset'].every(name => argument[name] !== undefined);
}

/** A list of shards is several paths. */
function imagesOf(value: unknown): { images?: string } {
  if (typeof value !== 'string' || !isShardPattern(value)) return absolutePath('images', value);
  if (!areAbsolute(value)) throw new Error('“images” must name shards by absolute paths.');
  return { images: value };
}

function absolutePath<Name extends 'model' | 'images'>(
  name: Name,
  value: unknown,
): { [key in Name]?: string } {
  if (value === undefined) return {};
  if (typeof value !== 'string' || !path.isAbsolute(value)) {
    throw new Error(`“${name}” must be an absolute path, not ${JSON.stringify(value)}.`);
  }
  return { [name]: path.normalize(value) } as { [key in Name]?: string };
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
