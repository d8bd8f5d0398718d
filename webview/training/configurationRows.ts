import type { PretrainConfiguration, RunConfiguration, TrainingSettings } from '../../trainer/protocol.ts';
import { formatCount, formatName, formatScientific, formatTime } from '../format.ts';

/** One line of the configuration: what it is called in `config.json`, and what people call it. */
export interface ConfigurationRow {
  key: string;
  label: string;
  value: string;
}

export interface ConfigurationSection {
  title: string;
  rows: ConfigurationRow[];
}

const sectionOfSetting: Record<keyof TrainingSettings, 'Data' | 'Optimisation' | 'Run'> = {
  model: 'Data',
  arch: 'Data',
  images: 'Data',
  method: 'Optimisation',
  regions: 'Data',
  boxes: 'Data',
  embeddings: 'Data',
  prompts: 'Data',
  multiscale: 'Data',
  trainRatio: 'Data',
  accumulate: 'Optimisation',
  ranks: 'Optimisation',
  exchange: 'Optimisation',
  compareWeightsEvery: 'Run',
  cosineWeight: 'Optimisation',
  teacherCacheMib: 'Run',
  retention: 'Optimisation',
  size: 'Data',
  maxSplit: 'Data',
  maxBoxes: 'Data',
  cropScale: 'Data',
  holdOut: 'Data',
  evaluatePanoptic: 'Data',
  evaluateImages: 'Data',
  evaluateMasks: 'Data',
  evaluateEmbeddings: 'Data',
  evaluateLimit: 'Data',
  batch: 'Optimisation',
  epochs: 'Optimisation',
  learningRate: 'Optimisation',
  weightDecay: 'Optimisation',
  warmup: 'Optimisation',
  beta1: 'Optimisation',
  beta2: 'Optimisation',
  epsilon: 'Optimisation',
  unlockedBlocks: 'Optimisation',
  blend: 'Optimisation',
  seed: 'Optimisation',
  checkpointEvery: 'Run',
  keepCheckpoints: 'Run',
  engine: 'Run',
  precision: 'Run',
  threads: 'Run',
  memoryBudgetGib: 'Run',
};

const units: Partial<Record<keyof TrainingSettings, string>> = {
  size: 'px',
  warmup: 'steps',
  checkpointEvery: 'steps',
  compareWeightsEvery: 'steps',
  teacherCacheMib: 'MiB',
  memoryBudgetGib: 'GiB',
};

const labels: Partial<Record<keyof TrainingSettings, string>> = {
  arch: 'Architecture',
  holdOut: 'Held-out images',
  maxSplit: 'Max. rows and columns',
  maxBoxes: 'Max. patches per image',
  accumulate: 'Accumulated batches',
  exchange: 'Gradients of the ranks',
  compareWeightsEvery: 'Weights compared every',
  retention: 'Retention of whole images',
  trainRatio: 'Share of images that train',
  blend: 'Blend α',
  beta1: 'Adam β₁',
  beta2: 'Adam β₂',
  epsilon: 'Adam ε',
  teacherCacheMib: 'Teacher’s embeddings kept',
  memoryBudgetGib: 'Memory budget',
};

/** Everything that `config.json` says, in groups. Settings this panel has never heard of are listed with the run. */
export function configurationSections(
  configuration: RunConfiguration | PretrainConfiguration,
): ConfigurationSection[] {
  const { imageCount, parameters, versions } = configuration;
  const sections: Record<string, ConfigurationRow[]> = { Data: [], Optimisation: [], Run: [] };
  for (const [key, value] of Object.entries(configuration.settings)) {
    const section = sectionOfSetting[key as keyof TrainingSettings] ?? 'Run';
    sections[section]!.push(settingRow(key, value));
  }
  sections.Data!.push(
    row('imageCount.found', 'Images found', formatCount(imageCount.found)),
    row('imageCount.training', 'Images for training', formatCount(imageCount.training)),
    row('imageCount.heldOut', 'Images held out', formatCount(imageCount.heldOut)),
  );
  sections.Optimisation!.push(
    row('parameters.total', 'Parameters', formatCount(parameters.total)),
    row('parameters.trainable', 'Trainable parameters', formatCount(parameters.trainable)),
  );
  sections.Run!.push(
    row('totalSteps', 'Total steps', formatCount(configuration.totalSteps)),
    row('stepsPerEpoch', 'Steps per epoch', formatCount(configuration.stepsPerEpoch)),
    row('created', 'Created', formatTime(Date.parse(configuration.created))),
    row('modelHash', 'Model SHA-256', configuration.modelHash),
    ...Object.entries(versions).map(([name, version]) =>
      row(`versions.${name}`, formatVersionName(name), version),
    ),
  );
  return Object.entries(sections).map(([title, rows]) => ({ title, rows }));
}

function settingRow(key: string, value: unknown): ConfigurationRow {
  const known = key as keyof TrainingSettings;
  const unit = units[known];
  return row(key, labels[known] ?? formatName(key), formatSetting(key, value) + (unit ? ` ${unit}` : ''));
}

function formatSetting(key: string, value: unknown): string {
  if (value === null && ['boxes', 'embeddings', 'prompts', 'multiscale'].includes(key)) return 'none';
  if (key === 'evaluateLimit' && value === 0) return 'all images';
  if (value === null && key === 'evaluateEmbeddings') return 'default prompts';
  if (value === null && key.startsWith('evaluate')) return 'none';
  if (value === null) return 'from the model';
  if (key === 'threads' && value === 0) return 'chosen by the engine';
  if (typeof value !== 'number') return typeof value === 'string' ? value : JSON.stringify(value);
  return value !== 0 && Math.abs(value) < 1e-3 ? formatScientific(value) : String(value);
}

function formatVersionName(name: string): string {
  return { clipself: 'CLIPSelf Lab', node: 'Node', engine: 'Engine version' }[name] ?? formatName(name);
}

function row(key: string, label: string, value: string): ConfigurationRow {
  return { key, label, value };
}
