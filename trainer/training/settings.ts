import { publishedAdamW, vitAdamW } from '../distill/optimiser.ts';
import { engineNames } from '../engines/createEngine.ts';
import { unsuitableSize, type VisionArchitecture } from '../models/architecture.ts';
import { precisions } from '../models/stagePrecision.ts';
import type { TrainingSettings } from '../protocol.ts';

/** What a run is asked for: model, images and any settings; the rest takes the published values. */
export type TrainingRequest = Pick<TrainingSettings, 'model' | 'images'> &
  Partial<Omit<TrainingSettings, 'model' | 'images'>>;

/** A setting out of its range. Its message names the option and what it takes. */
export class SettingError extends Error {
  override readonly name = 'SettingError';
}

type DefaultedSetting = Exclude<keyof TrainingSettings, 'model' | 'images' | 'holdOut'>;

/** The published B/16 recipe with image patches; AdamW's constants are those of CLIP ViTs, EVA-02 has its own. */
export const trainingDefaults: Readonly<Pick<TrainingSettings, DefaultedSetting>> = {
  arch: null,
  method: 'clipself',
  regions: 'grid',
  boxes: null,
  embeddings: null,
  prompts: null,
  size: 1024,
  maxSplit: 6,
  maxBoxes: 20,
  multiscale: null,
  cropScale: 1,
  trainRatio: 1,
  batch: 2,
  accumulate: 1,
  ranks: 1,
  exchange: 'average',
  compareWeightsEvery: 100,
  epochs: 6,
  learningRate: 1e-5,
  weightDecay: 0.1,
  cosineWeight: 1,
  teacherCacheMib: 0,
  retention: 0,
  warmup: 1000,
  ...vitAdamW,
  unlockedBlocks: 12,
  blend: 0.7,
  seed: 0,
  evaluatePanoptic: null,
  evaluateImages: null,
  evaluateMasks: null,
  evaluateEmbeddings: null,
  evaluateLimit: 0,
  checkpointEvery: 500,
  keepCheckpoints: 2,
  engine: 'auto',
  precision: 'fp32',
  threads: 0,
  memoryBudgetGib: 6,
};

/** Teacher crops of proposals show some of what is around them, as published. */
const proposalCropScale = 1.5;

/** Text settings that take one of a few words. */
const settingChoices = {
  method: { option: '--method', words: ['clipself', 'regionclip'] },
  regions: { option: '--regions', words: ['grid', 'proposals', 'boxes-file'] },
  engine: { option: '--engine', words: engineNames },
  precision: { option: '--precision', words: precisions },
  exchange: { option: '--exchange', words: ['average', 'none'] },
} as const;

interface Range {
  option: string;
  least: number;
  most: number;
  whole: boolean;
}

const whole = (option: string, least: number, most: number): Range => ({ option, least, most, whole: true });
const real = (option: string, least: number, most: number): Range => ({ option, least, most, whole: false });

/** Numeric settings, their options and what they take. */
export const settingRanges = {
  size: whole('--size', 16, 8192),
  maxSplit: whole('--max-split', 1, 64),
  maxBoxes: whole('--max-boxes', 1, 4096),
  cropScale: real('--crop-scale', 1, 16),
  trainRatio: real('--train-ratio', 1e-6, 1),
  batch: whole('--batch', 1, 4096),
  accumulate: whole('--accumulate', 1, 4096),
  ranks: whole('--ranks', 1, 65536),
  compareWeightsEvery: whole('--compare-weights-every', 1, 1e9),
  epochs: whole('--epochs', 1, 100_000),
  learningRate: real('--lr', 0, 10),
  weightDecay: real('--weight-decay', 0, 10),
  cosineWeight: real('--cosine-weight', 0, 1000),
  teacherCacheMib: real('--teacher-cache', 0, 2 ** 20),
  retention: real('--retention', 0, 1000),
  warmup: whole('--warmup', 0, 1e9),
  beta1: real('--beta1', 0, 0.999999),
  beta2: real('--beta2', 0, 0.999999),
  epsilon: real('--epsilon', 1e-12, 1),
  unlockedBlocks: whole('--unlocked-blocks', 1, 1000),
  blend: real('--blend', 0, 1),
  seed: whole('--seed', 0, 2 ** 31 - 1),
  holdOut: whole('--hold-out', 0, 1e6),
  evaluateLimit: whole('--evaluate-limit', 0, 1e9),
  checkpointEvery: whole('--checkpoint-every', 1, 1e9),
  keepCheckpoints: whole('--keep-checkpoints', 1, 1000),
  threads: whole('--threads', 0, 1024),
  memoryBudgetGib: real('--memory-budget', 0, 4096),
} as const satisfies Partial<Record<keyof TrainingSettings, Range>>;

export type NumericSetting = keyof typeof settingRanges;

/** Images of one step, over all ranks. */
export const imagesPerStep = ({
  batch,
  accumulate,
  ranks,
}: Pick<TrainingSettings, 'batch' | 'accumulate' | 'ranks'>): number => batch * accumulate * ranks;

/** Held-out images when the request does not say: a tenth, at most 16. */
const defaultHoldOut = (imageCount: number): number => Math.min(16, Math.floor(imageCount / 10));

/**
 * Fills in what the request leaves out and checks every number.
 *
 * @param kind Family of the model: the published code has other optimiser constants for EVA-02.
 * @throws SettingError for the first number out of range.
 */
export function resolveSettings(
  request: TrainingRequest,
  imageCount: number,
  kind: VisionArchitecture['kind'],
): TrainingSettings {
  const settings: TrainingSettings = {
    holdOut: defaultHoldOut(imageCount),
    ...trainingDefaults,
    ...publishedAdamW(kind),
    ...(request.method === 'regionclip' ? { regions: 'proposals' } : {}),
    ...((request.regions ?? 'grid') === 'grid' ? {} : { cropScale: proposalCropScale }),
    ...request,
  };
  for (const name of Object.keys(settingRanges) as NumericSetting[]) checkRange(name, settings[name]);
  for (const [name, { option, words }] of Object.entries(settingChoices)) {
    const value = settings[name as keyof typeof settingChoices];
    if (!words.some(word => word === value))
      throw new SettingError(`${option} takes ${words.join(', ')}; got '${value}'`);
  }
  return settings;
}

export function checkRange(name: NumericSetting, value: unknown, option = settingRanges[name].option): void {
  const { least, most, whole } = settingRanges[name];
  const fits =
    typeof value === 'number' && value >= least && value <= most && (!whole || Number.isInteger(value));
  if (!fits)
    throw new SettingError(
      `${option} takes a ${whole ? 'whole number' : 'number'} from ${least} to ${most}; got '${value}'`,
    );
}

/**
 * Sides of the student image that a step may take; null when it is always `size`.
 *
 * @throws SettingError when the text is no list of sides.
 */
export function scalesOf({ multiscale }: Pick<TrainingSettings, 'multiscale'>): number[] | null {
  if (multiscale === null) return null;
  const { least, most } = settingRanges.size;
  const scales = multiscale.split(',').map(text => (text.trim() === '' ? Number.NaN : Number(text)));
  if (scales.every(scale => Number.isInteger(scale) && scale >= least && scale <= most)) return scales;
  throw new SettingError(
    `--multiscale takes sides from ${least} to ${most} such as 320,640,896,1024; got '${multiscale}'`,
  );
}

/** Throws SettingError when the tower cannot take an input of `size` pixels. */
export function checkSize(size: number, architecture: VisionArchitecture, option = '--size'): void {
  const unsuitable = unsuitableSize(size, architecture);
  if (unsuitable)
    throw new SettingError(`${option} must ${unsuitable.rule}; got ${size} (${unsuitable.nearest} would do)`);
}
