import { vitAdamW } from '../distill/optimiser.ts';
import { engineNames } from '../engines/createEngine.ts';
import type { PretrainSettings } from '../protocol.ts';
import { SettingError } from '../training/settings.ts';
import { trainingStyles } from '../world/styles.ts';

/** What a feasibility study found good for the tiny CLIP; the number of steps is for hours on one core. */
export const pretrainDefaults: Readonly<PretrainSettings> = {
  arch: null,
  from: null,
  styles: trainingStyles.join(','),
  sceneSize: 144,
  batch: 64,
  groups: 1,
  steps: 20_000,
  stepsPerEpoch: 500,
  learningRate: 1.5e-3,
  weightDecay: 0.1,
  warmup: 60,
  ...vitAdamW,
  clip: 1,
  ramp: 1 / 3,
  seed: 0,
  evaluationCrops: 320,
  keepCheckpoints: 2,
  engine: 'auto',
  threads: 0,
};

interface Range {
  option: string;
  least: number;
  most: number;
  whole: boolean;
  meaning: string;
}

const range = (
  option: string,
  least: number,
  most: number,
  kind: 'whole' | 'real',
  meaning: string,
): Range => ({ option, least, most, whole: kind === 'whole', meaning });

/** Numeric settings, their options and what they take. */
export const pretrainRanges = {
  steps: range('--steps', 1, 1e8, 'whole', 'steps of the whole run'),
  stepsPerEpoch: range('--epoch-steps', 1, 1e8, 'whole', 'steps between two evaluations and checkpoints'),
  batch: range('--batch', 2, 76, 'whole', 'pairs that are told apart, each of another class'),
  groups: range('--groups', 1, 1024, 'whole', 'batches of a step, each with a contrast of its own'),
  learningRate: range('--lr', 0, 10, 'real', 'highest learning rate'),
  weightDecay: range('--weight-decay', 0, 10, 'real', 'of matrices'),
  warmup: range('--warmup', 0, 1e9, 'whole', 'steps of linear warm-up before the cosine'),
  beta1: range('--beta1', 0, 0.999999, 'real', 'AdamW'),
  beta2: range('--beta2', 0, 0.999999, 'real', 'AdamW'),
  epsilon: range('--epsilon', 1e-12, 1, 'real', 'AdamW'),
  clip: range('--clip', 1e-6, 1e9, 'real', 'highest global norm of the gradients'),
  ramp: range('--ramp', 0, 1, 'real', 'share of the steps in which scenes grow small and crowded'),
  sceneSize: range('--scene-size', 48, 1024, 'whole', 'longest side of a training scene, pixels'),
  evaluationCrops: range('--evaluation-crops', 64, 100_000, 'whole', 'crops that each style is evaluated on'),
  seed: range('--seed', 0, 2 ** 31 - 1, 'whole', 'of weights, scenes and prompts'),
  keepCheckpoints: range('--keep-checkpoints', 1, 1000, 'whole', 'latest checkpoints that stay'),
  threads: range('--threads', 0, 1024, 'whole', 'of the CPU engine; 0: it decides'),
} as const satisfies Partial<Record<keyof PretrainSettings, Range>>;

export type PretrainNumber = keyof typeof pretrainRanges;
export const pretrainNumbers = Object.keys(pretrainRanges) as PretrainNumber[];

/**
 * Fills in what the request leaves out and checks every number.
 *
 * @throws SettingError for the first that is out of its range.
 */
export function resolvePretrainSettings(request: Partial<PretrainSettings>): PretrainSettings {
  const settings = { ...pretrainDefaults, ...request };
  for (const name of pretrainNumbers) {
    const { option, least, most, whole }: Range = pretrainRanges[name];
    const value = settings[name];
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value)))
      throw new SettingError(
        `${option} takes a ${whole ? 'whole number' : 'number'} from ${least} to ${most}; got '${value}'`,
      );
  }
  if (!engineNames.some(known => known === settings.engine))
    throw new SettingError(`--engine takes ${engineNames.join(', ')}; got '${settings.engine}'`);
  return settings;
}
