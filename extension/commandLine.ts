import { readJson } from '../trainer/checkpoints/jsonFile.ts';
import { isPretraining } from '../trainer/runs/runConfiguration.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import type { TunableSetting, TunableSettings } from './identifiers.ts';

/** What a run is started with. Paths are absolute. */
export interface RunRequest {
  model: string;
  images: string;
  /** Run directory; the trainer creates it. */
  out: string;
  settings: Partial<TunableSettings>;
}

/** Flag of `clipself train` for each setting; a setting without a flag does not compile. */
export const settingFlags: Readonly<Record<TunableSetting, string>> = {
  arch: '--arch',
  method: '--method',
  regions: '--regions',
  boxes: '--boxes',
  embeddings: '--embeddings',
  prompts: '--prompts',
  size: '--size',
  maxSplit: '--max-split',
  maxBoxes: '--max-boxes',
  multiscale: '--multiscale',
  cropScale: '--crop-scale',
  trainRatio: '--train-ratio',
  batch: '--batch',
  accumulate: '--accumulate',
  epochs: '--epochs',
  learningRate: '--lr',
  weightDecay: '--weight-decay',
  cosineWeight: '--cosine-weight',
  teacherCacheMib: '--teacher-cache',
  retention: '--retention',
  warmup: '--warmup',
  beta1: '--beta1',
  beta2: '--beta2',
  epsilon: '--epsilon',
  unlockedBlocks: '--unlocked-blocks',
  blend: '--blend',
  seed: '--seed',
  holdOut: '--hold-out',
  evaluatePanoptic: '--evaluate-panoptic',
  evaluateImages: '--evaluate-images',
  evaluateMasks: '--evaluate-masks',
  evaluateEmbeddings: '--evaluate-embeddings',
  evaluateLimit: '--evaluate-limit',
  checkpointEvery: '--checkpoint-every',
  keepCheckpoints: '--keep-checkpoints',
  engine: '--engine',
  precision: '--precision',
  threads: '--threads',
  memoryBudgetGib: '--memory-budget',
};

/** Arguments of `clipself` that start a run. Settings that are absent, null or empty are left to the trainer. */
export function trainArguments(request: RunRequest): string[] {
  const result = ['train', '--model', request.model, '--images', request.images, '--out', request.out];
  for (const [setting, flag] of Object.entries(settingFlags) as [TunableSetting, string][]) {
    const value = request.settings[setting];
    if (value === undefined || value === null || value === '') continue;
    result.push(flag, String(value));
  }
  return result;
}

/** Arguments of `clipself` that continue a run, a fine-tuning or a pre-training, from its own `config.json`. */
export async function resumeArguments(directory: string): Promise<string[]> {
  return [(await holdsPretraining(directory)) ? 'pretrain' : 'train', '--resume', directory];
}

/** Whether the run in a directory is a pre-training; where its `config.json` cannot be read, the trainer says why. */
export async function holdsPretraining(directory: string): Promise<boolean> {
  return isPretraining(await readJson(runFiles(directory).configuration).catch(() => null));
}
