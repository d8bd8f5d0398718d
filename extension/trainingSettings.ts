import type { TunableSetting, TunableSettings } from './identifiers.ts';

/** A number with its bounds, both allowed; `integer` refuses fractions. */
interface NumberRule {
  kind: 'number' | 'integer';
  minimum: number;
  maximum: number;
}

interface TextRule {
  kind: 'text';
}

/** What a setting may be; where `optional`, null lets the trainer decide. */
export type SettingRule = (NumberRule | TextRule) & { optional: boolean };

const integer = (minimum: number, maximum: number): SettingRule => ({
  kind: 'integer',
  minimum,
  maximum,
  optional: false,
});
const number = (minimum: number, maximum: number): SettingRule => ({
  kind: 'number',
  minimum,
  maximum,
  optional: false,
});
const optional = (rule: SettingRule): SettingRule => ({ ...rule, optional: true });

/**
 * What each training setting may be: the bounds that `package.json` shows and the trainer enforces, checked here
 * already because settings files and key-binding arguments are free text.
 */
export const settingRules: Readonly<Record<TunableSetting, SettingRule>> = {
  arch: { kind: 'text', optional: true },
  method: { kind: 'text', optional: false },
  regions: { kind: 'text', optional: false },
  boxes: { kind: 'text', optional: true },
  embeddings: { kind: 'text', optional: true },
  prompts: { kind: 'text', optional: true },
  size: integer(16, 8192),
  maxSplit: integer(1, 64),
  maxBoxes: integer(1, 4096),
  multiscale: { kind: 'text', optional: true },
  cropScale: optional(number(1, 16)),
  trainRatio: number(1e-6, 1),
  batch: integer(1, 4096),
  accumulate: integer(1, 4096),
  epochs: integer(1, 100_000),
  learningRate: number(0, 10),
  weightDecay: number(0, 10),
  cosineWeight: number(0, 1000),
  teacherCacheMib: number(0, 2 ** 20),
  retention: number(0, 1000),
  warmup: integer(0, 1e9),
  beta1: optional(number(0, 0.999999)),
  beta2: optional(number(0, 0.999999)),
  epsilon: optional(number(1e-12, 1)),
  unlockedBlocks: integer(1, 1000),
  blend: number(0, 1),
  seed: integer(0, 2 ** 31 - 1),
  holdOut: optional(integer(0, 1e6)),
  evaluatePanoptic: { kind: 'text', optional: true },
  evaluateImages: { kind: 'text', optional: true },
  evaluateMasks: { kind: 'text', optional: true },
  evaluateEmbeddings: { kind: 'text', optional: true },
  evaluateLimit: integer(0, 1e9),
  checkpointEvery: integer(1, 1e9),
  keepCheckpoints: integer(1, 1000),
  engine: { kind: 'text', optional: false },
  precision: { kind: 'text', optional: false },
  threads: integer(0, 1024),
  memoryBudgetGib: number(0, 4096),
};

/** Whether `name` is a training setting. */
export function isTunableSetting(name: string): name is TunableSetting {
  return Object.hasOwn(settingRules, name);
}

/** Checks one value against its rule; returns a sentence for the user, or null when it is good. */
export function problemWithSetting(setting: TunableSetting, value: unknown): string | null {
  const rule = settingRules[setting];
  if (value === null && rule.optional) return null;
  if (rule.kind === 'text') {
    return typeof value === 'string' ? null : `${setting} must be text, not ${JSON.stringify(value)}.`;
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    return `${setting} must be a number, not ${JSON.stringify(value)}.`;
  }
  if (rule.kind === 'integer' && !Number.isInteger(value)) {
    return `${setting} must be a whole number, not ${value}.`;
  }
  if (value < rule.minimum || value > rule.maximum) {
    return `${setting} must lie between ${rule.minimum} and ${rule.maximum}, not ${value}.`;
  }
  return null;
}

/** Checks a set of settings, complete or not. Throws one Error that names the first setting that cannot be used. */
export function checkSettings(values: Readonly<Record<string, unknown>>): Partial<TunableSettings> {
  for (const [name, value] of Object.entries(values)) {
    if (!isTunableSetting(name)) {
      throw new Error(`“${name}” is not a training setting. Known: ${Object.keys(settingRules).join(', ')}.`);
    }
    const problem = problemWithSetting(name, value);
    if (problem !== null) throw new Error(`Training setting out of range: ${problem}`);
  }
  return values as Partial<TunableSettings>;
}
