import { stat } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import type { DemoAssets } from '../demoAssets.ts';
import type { TunableSettings } from '../identifiers.ts';
import { type Preset, type PresetId, presetsFor } from '../presets.ts';
import { rememberedFirst } from '../rememberedChoices.ts';
import { absoluteShards, shardProblem } from '../shardChoice.ts';
import { runWizard, type StepOutcome, type WizardStep } from '../wizard.ts';
import type { WorkspaceMemory } from './memento.ts';
import { ask, browse, type ChoiceItem, heading } from './quickPicks.ts';
import { workspaceFolders } from './settings.ts';
import { findImageFolders, findModels } from './workspaceFiles.ts';

/** What the user is asked for before a run. */
export interface FineTuneChoice {
  model: string;
  images: string;
  preset: PresetId;
}

/** A path that was chosen, or the wish to look for one elsewhere. */
export type PathChoice =
  | { path: string }
  | { browse: vscode.OpenDialogOptions }
  | { get: () => Promise<string | null> };

/** Published models: those that are here, and the way to get another. */
export interface ModelSupply {
  /** Folders of models. */
  present(): Promise<string[]>;
  /** Null when the user cancelled. */
  get(): Promise<string | null>;
}

const TITLE = 'Fine-tune CLIPSelf';

/** Asks for what `given` leaves open; null when the user cancelled. */
export async function askForRun(
  given: Partial<FineTuneChoice>,
  memory: WorkspaceMemory,
  demo: DemoAssets,
  supply: ModelSupply,
  title: string = TITLE,
): Promise<FineTuneChoice | null> {
  const steps: WizardStep<FineTuneChoice>[] = [];
  if (given.model === undefined) {
    steps.push(async (_, position) =>
      named(
        'model',
        await askForPath({
          title,
          placeholder: 'Which CLIP model?',
          items: modelItems(memory, demo, supply),
          position,
        }),
      ),
    );
  }
  if (given.images === undefined) {
    steps.push(async (state, position) =>
      named(
        'images',
        await askForPath({
          title,
          placeholder: 'Which images?',
          items: imageItems(memory, demo, state.model === demo.model),
          position,
        }),
      ),
    );
  }
  if (given.preset === undefined) {
    steps.push(async (state, position) => {
      const items = presetItems(memory, state.model === demo.model);
      return named('preset', await ask({ title, placeholder: 'Which preset?', items, position }));
    });
  }
  const answers = await runWizard(steps, given);
  if (answers === null) return null;
  const { model, images, preset } = answers;
  return model === undefined || images === undefined || preset === undefined
    ? null
    : { model, images, preset };
}

/**
 * Asks for the file of the regions where the settings need one and name none.
 *
 * @returns null when the user cancelled.
 */
export async function askForBoxes(
  settings: Partial<TunableSettings>,
): Promise<Partial<TunableSettings> | null> {
  const { regions, boxes } = settings;
  if (regions === undefined || regions === null || regions === 'grid' || boxes) return settings;
  const filters = { 'Boxes of the images': ['json'] };
  const chosen = await browse({ title: 'Boxes to train on', openLabel: 'Train on These Boxes', filters });
  return chosen === null ? null : { ...settings, boxes: chosen };
}

function named<Name extends keyof FineTuneChoice>(
  name: Name,
  outcome: StepOutcome<FineTuneChoice[Name]>,
): StepOutcome<Partial<FineTuneChoice>> {
  return outcome.kind === 'answered' ? { kind: 'answered', value: { [name]: outcome.value } } : outcome;
}

/** Asks for a path until there is one: leaving the file dialog leads back to the list. */
export async function askForPath(
  question: Parameters<typeof ask<PathChoice>>[0],
): Promise<StepOutcome<string>> {
  for (;;) {
    const outcome = await ask(question);
    if (outcome.kind !== 'answered') return outcome;
    if ('path' in outcome.value) return { kind: 'answered', value: outcome.value.path };
    const chosen = await ('get' in outcome.value ? outcome.value.get() : browse(outcome.value.browse));
    if (chosen !== null) return { kind: 'answered', value: chosen };
  }
}

export function pathItem(file: string, icon: string, description: string): ChoiceItem<PathChoice> {
  const location = vscode.workspace.asRelativePath(file, true);
  return {
    label: `$(${icon}) ${path.basename(file)}`,
    description,
    detail: location === '' ? file : location,
    choice: { path: file },
  };
}

export function browseItem(label: string, options: vscode.OpenDialogOptions): ChoiceItem<PathChoice> {
  return { label: `$(folder-opened) ${label}`, alwaysShow: true, choice: { browse: options } };
}

/** Remembered paths that are still there and not among `others`. */
async function rememberedItems(
  remembered: string[],
  others: ChoiceItem<PathChoice>[],
  icon: string,
): Promise<ChoiceItem<PathChoice>[]> {
  const offered = new Set(others.map(pathOf));
  const missing = remembered.filter(file => !offered.has(file));
  const present = await Promise.all(missing.map(isThere));
  return missing.filter((_, index) => present[index]).map(file => pathItem(file, icon, 'used before'));
}

function pathOf(item: ChoiceItem<PathChoice>): string {
  return item.choice !== undefined && 'path' in item.choice ? item.choice.path : '';
}

/** A file, a folder, or all shards of a pattern. */
async function isThere(images: string): Promise<boolean> {
  return (await exists(images)) || (await shardProblem(images, path.sep)) === null;
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

export async function modelItems(
  memory: WorkspaceMemory,
  demo: DemoAssets,
  supply: ModelSupply,
): Promise<ChoiceItem<PathChoice>[]> {
  const downloaded = (await supply.present()).map(model => pathItem(model, 'package', 'downloaded'));
  const found = (await findModels())
    .filter(({ path: model }) => model !== demo.model)
    .map(({ path: model, kind }) =>
      pathItem(model, kind === 'directory' ? 'package' : 'file-binary', 'in this workspace'),
    );
  const demoItem: ChoiceItem<PathChoice> = {
    label: '$(beaker) Demo model (tiny)',
    detail: 'Ships with the extension; trains in a minute or two',
    choice: { path: demo.model },
  };
  const offered = [...found, ...downloaded, ...((await exists(demo.model)) ? [demoItem] : [])];
  const remembered = memory.models.list();
  const all = [...(await rememberedItems(remembered, offered, 'package')), ...offered];
  return [
    ...rememberedFirst(all, remembered, pathOf),
    heading('elsewhere'),
    {
      label: '$(cloud-download) Get a model…',
      detail: 'Published weights from the Hugging Face hub',
      alwaysShow: true,
      choice: { get: () => supply.get() },
    },
    browseItem('Browse for a weights file…', {
      title: 'CLIP weights',
      openLabel: 'Use This Model',
      canSelectFiles: true,
      filters: { 'CLIP weights': ['safetensors', 'pt', 'pth', 'bin'], 'All files': ['*'] },
    }),
    browseItem('Browse for a model folder…', {
      title: 'Folder with open_clip_config.json and weights',
      openLabel: 'Use This Model',
      canSelectFiles: false,
      canSelectFolders: true,
    }),
  ];
}

async function imageItems(
  memory: WorkspaceMemory,
  demo: DemoAssets,
  isDemoModel: boolean,
): Promise<ChoiceItem<PathChoice>[]> {
  const found = (await findImageFolders())
    .filter(({ path: folder }) => folder !== demo.images)
    .map(({ path: folder, count }) =>
      pathItem(folder, 'folder', count === 1 ? '1 image' : `${count} images`),
    );
  const demoItem: ChoiceItem<PathChoice> = {
    label: '$(beaker) Demo images',
    detail: 'Sample scenes that ship with the extension',
    choice: { path: demo.images },
  };
  const demoItems = (await exists(demo.images)) ? [demoItem] : [];
  const offered = isDemoModel && found.length === 0 ? demoItems : [...found, ...demoItems];
  const remembered = memory.imageFolders.list();
  const all = [...(await rememberedItems(remembered, offered, 'folder')), ...offered];
  return [
    ...rememberedFirst(all, remembered, pathOf),
    heading('elsewhere'),
    browseItem('Browse for a folder…', {
      title: 'Folder of images',
      openLabel: 'Train on These Images',
      canSelectFiles: false,
      canSelectFolders: true,
    }),
    browseItem('Browse for COCO annotations…', {
      title: 'COCO-style annotation file',
      openLabel: 'Train on These Images',
      canSelectFiles: true,
      filters: { 'COCO annotations': ['json'] },
    }),
    {
      label: '$(archive) Tar shards…',
      detail: 'WebDataset-style .tar files, by a pattern such as shards/{0000..0117}.tar',
      alwaysShow: true,
      choice: { get: askForShards },
    },
  ];
}

/** Asks for a pattern of shards, relative to the workspace; null when cancelled. */
async function askForShards(): Promise<string | null> {
  const base = workspaceFolders()[0] ?? path.sep;
  const text = await vscode.window.showInputBox({
    title: TITLE,
    prompt:
      'Tar shards: {0000..0117} counts, * and ? stand for what a name has there, a comma separates patterns',
    placeHolder: 'shards/{0000..0117}.tar',
    ignoreFocusOut: true,
    validateInput: async typed => (typed.trim() === '' ? undefined : await shardProblem(typed, base)),
  });
  return text === undefined || text.trim() === '' ? null : absoluteShards(text, base);
}

function presetItems(memory: WorkspaceMemory, isDemoModel: boolean): ChoiceItem<PresetId>[] {
  const item = ({ id, label, description, detail }: Preset): ChoiceItem<PresetId> => ({
    label,
    description,
    detail,
    choice: id,
  });
  const offered = presetsFor(isDemoModel).map(item);
  // A preset remembered from another model does not go before the one made for the demo model.
  const remembered = isDemoModel ? ['demo', ...memory.presets.list()] : memory.presets.list();
  return rememberedFirst(offered, remembered, entry => entry.choice ?? '');
}
