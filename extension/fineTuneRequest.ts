import { isShardPattern } from '../trainer/shards/shardPattern.ts';
import { absolutePath, isPlainObject, rejectUnknown, trueOrFalse } from './commandArguments.ts';
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

const known = ['model', 'images', 'preset', 'settings', 'openPanel'];

/**
 * Checks the argument of the command, which is free text in a key binding. Anything that is not a plain object, such as
 * what menus pass, counts as no argument.
 *
 * @throws Error naming the entry that cannot be used.
 */
export function parseFineTuneArguments(value: unknown): FineTuneArguments {
  if (!isPlainObject(value)) return {};
  rejectUnknown('clipself.fineTune', value, known);
  const { preset, settings, openPanel } = value;
  if (preset !== undefined && !isPresetId(preset)) {
    throw new Error(`“${String(preset)}” is not a preset. Known: ${presetIds.join(', ')}.`);
  }
  if (settings !== undefined && !isPlainObject(settings)) throw new Error('“settings” must be an object.');
  return {
    ...(value.model === undefined ? {} : { model: absolutePath('model', value.model) }),
    ...imagesOf(value.images),
    ...(preset === undefined ? {} : { preset }),
    ...(settings === undefined ? {} : { settings: checkSettings(settings) }),
    ...(openPanel === undefined ? {} : { openPanel: trueOrFalse('openPanel', openPanel) }),
  };
}

/** Whether a command was called by a program rather than by a person: its argument leaves nothing to ask. */
export function isProgrammatic(argument: unknown): boolean {
  return isPlainObject(argument) && ['model', 'images', 'preset'].every(name => argument[name] !== undefined);
}

/** A list of shards is several paths. */
function imagesOf(value: unknown): { images?: string } {
  if (value === undefined) return {};
  if (typeof value !== 'string' || !isShardPattern(value)) return { images: absolutePath('images', value) };
  if (!areAbsolute(value)) throw new Error('“images” must name shards by absolute paths.');
  return { images: value };
}
