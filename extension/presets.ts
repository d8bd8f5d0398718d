import { recipes } from '../trainer/recipes.ts';
import { type TunableSetting, type TunableSettings, trainingSettingKey } from './identifiers.ts';

/** A named set of settings; what it leaves out comes from the VS Code settings. */
export interface Preset {
  id: PresetId;
  label: string;
  description: string;
  detail: string;
  overrides: Partial<TunableSettings>;
}

export type PresetId =
  | 'demo'
  | 'quickLook'
  | 'publishedB16'
  | 'publishedL14'
  | 'proposalsB16'
  | 'proposalsL14'
  | 'regionClipB16'
  | 'regionClipL14'
  | 'fromSettings';

const needsBoxes = 'Needs a file of boxes (setting clipself.training.boxes), such as Propose Regions writes';

/** Without what follows from the size of the model: the settings say that. */
const { unlockedBlocks: _blocks, blend: _blend, ...patches } = recipes['b16-patches'];

const presets: Readonly<Record<PresetId, Preset>> = {
  demo: {
    id: 'demo',
    label: 'Demo',
    description: 'a minute or two on a laptop',
    detail: 'High learning rate for the tiny demo model and its small scenes: see the whole loop work.',
    overrides: {
      ...patches,
      size: 96,
      batch: 8,
      epochs: 30,
      learningRate: 2e-3,
      warmup: 30,
      unlockedBlocks: 4,
      blend: 1,
      holdOut: 8,
    },
  },
  quickLook: {
    id: 'quickLook',
    label: 'Quick look',
    description: '224 px, 1 epoch',
    detail: 'A short run at low resolution: does it work with this model and these images?',
    overrides: { ...patches, size: 224, maxSplit: 3, maxBoxes: 9, epochs: 1, warmup: 20 },
  },
  publishedB16: {
    id: 'publishedB16',
    label: 'Published B/16 patches',
    description: '1024 px, 6 epochs, 12 blocks, α = 0.7',
    detail: 'The recipe of the paper for ViT-B/16 on image patches.',
    overrides: recipes['b16-patches'],
  },
  publishedL14: {
    id: 'publishedL14',
    label: 'Published L/14 patches',
    description: '896 px, 6 epochs, 24 blocks, α = 0.95',
    detail: 'The recipe of the paper for ViT-L/14 on image patches.',
    overrides: recipes['l14-patches'],
  },
  proposalsB16: {
    id: 'proposalsB16',
    label: 'Published B/16 proposals',
    description: 'COCO-style boxes instead of image patches',
    detail: `The paper's table 2 for ViT-B/16. ${needsBoxes}.`,
    overrides: recipes['b16-proposals'],
  },
  proposalsL14: {
    id: 'proposalsL14',
    label: 'Published L/14 proposals',
    description: 'COCO-style boxes instead of image patches',
    detail: `The paper's table 2 for ViT-L/14. ${needsBoxes}.`,
    overrides: recipes['l14-proposals'],
  },
  regionClipB16: {
    id: 'regionClipB16',
    label: 'RegionCLIP-style B/16',
    description: 'region–noun pairs, the baseline with labels',
    detail: `The paper's figure 2a for ViT-B/16. Needs a file of boxes with categories, such as Name Regions by Words writes.`,
    overrides: recipes['b16-regionclip'],
  },
  regionClipL14: {
    id: 'regionClipL14',
    label: 'RegionCLIP-style L/14',
    description: 'region–noun pairs, the baseline with labels',
    detail: `The paper's figure 2a for ViT-L/14. Needs a file of boxes with categories, such as Name Regions by Words writes.`,
    overrides: recipes['l14-regionclip'],
  },
  fromSettings: {
    id: 'fromSettings',
    label: 'From settings',
    description: 'clipself.training.*',
    detail: 'Every value as it stands in the VS Code settings.',
    overrides: {},
  },
};

/** Whether `id` names a preset. */
export function isPresetId(id: unknown): id is PresetId {
  return typeof id === 'string' && Object.hasOwn(presets, id);
}

export const presetIds = Object.keys(presets) as PresetId[];

export function presetOf(id: PresetId): Preset {
  return presets[id];
}

/** Presets to offer, the most fitting first. The demo preset fits the demo model alone. */
export function presetsFor(isDemoModel: boolean): Preset[] {
  return presetIds.filter(id => isDemoModel || id !== 'demo').map(presetOf);
}

/** Settings of a run: those of VS Code, then the preset, then what the caller insists on. */
export function resolveSettings(
  fromEditor: Partial<TunableSettings>,
  preset: Preset,
  insisted: Partial<TunableSettings>,
): Partial<TunableSettings> {
  return { ...fromEditor, ...preset.overrides, ...insisted };
}

/**
 * A problem, and what to do about the settings that it names where the preset has values of its own.
 *
 * @param insisted What the caller set instead.
 */
export function withPresetAdvice(
  problem: string,
  { label, overrides }: Preset,
  insisted: Partial<TunableSettings>,
): string {
  const own = (Object.keys(overrides) as TunableSetting[]).filter(
    setting => !(setting in insisted) && problem.includes(trainingSettingKey(setting)),
  );
  if (own.length === 0) return problem;
  const { label: free } = presets.fromSettings;
  return `${problem.replace(/\.$/, '')}. The preset “${label}” has its own ${own.join(', ')}: take “${free}” to choose.`;
}
