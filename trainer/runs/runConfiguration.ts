import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject, readJson, writeJson } from '../checkpoints/jsonFile.ts';
import type { RunConfiguration, TrainingSettings } from '../protocol.ts';

export type SettingKind = 'text' | 'number' | 'textOrNull';

/** What each setting holds; a setting that is missing here does not compile. */
const settingKinds: Readonly<Record<keyof TrainingSettings, SettingKind>> = {
  model: 'text',
  arch: 'textOrNull',
  images: 'text',
  method: 'text',
  regions: 'text',
  boxes: 'textOrNull',
  embeddings: 'textOrNull',
  prompts: 'textOrNull',
  size: 'number',
  maxSplit: 'number',
  maxBoxes: 'number',
  multiscale: 'textOrNull',
  cropScale: 'number',
  trainRatio: 'number',
  batch: 'number',
  accumulate: 'number',
  ranks: 'number',
  exchange: 'text',
  compareWeightsEvery: 'number',
  epochs: 'number',
  learningRate: 'number',
  weightDecay: 'number',
  cosineWeight: 'number',
  teacherCacheMib: 'number',
  retention: 'number',
  warmup: 'number',
  beta1: 'number',
  beta2: 'number',
  epsilon: 'number',
  unlockedBlocks: 'number',
  blend: 'number',
  seed: 'number',
  holdOut: 'number',
  evaluatePanoptic: 'textOrNull',
  evaluateImages: 'textOrNull',
  evaluateMasks: 'textOrNull',
  evaluateEmbeddings: 'textOrNull',
  evaluateLimit: 'number',
  checkpointEvery: 'number',
  keepCheckpoints: 'number',
  engine: 'text',
  precision: 'text',
  threads: 'number',
  memoryBudgetGib: 'number',
};

/** Settings that runs of earlier versions do not have, as those versions behaved. */
const laterSettings: Partial<TrainingSettings> = {
  method: 'clipself',
  regions: 'grid',
  boxes: null,
  embeddings: null,
  prompts: null,
  multiscale: null,
  trainRatio: 1,
  accumulate: 1,
  ranks: 1,
  exchange: 'average',
  compareWeightsEvery: 100,
  cosineWeight: 1,
  teacherCacheMib: 0,
  retention: 0,
  evaluatePanoptic: null,
  evaluateImages: null,
  evaluateMasks: null,
  evaluateEmbeddings: null,
  evaluateLimit: 0,
  precision: 'fp32',
};

const settingNames = Object.keys(settingKinds) as (keyof TrainingSettings)[];

/**
 * Settings that a run may be resumed with although they differ: they say how often and how much is kept in the run
 * directory and in memory, and leave every trained bit alone. `threads` and `engine` are not among them, for another
 * order of summation gives other bits, and neither is `epochs`, for the learning rate's schedule ends with them.
 */
const freeSettings: ReadonlySet<keyof TrainingSettings> = new Set([
  'checkpointEvery',
  'compareWeightsEvery',
  'keepCheckpoints',
  'memoryBudgetGib',
]);

const advice = 'Train into a new folder, or restore the config.json that the run was started with';

function checkText(file: string, holder: Record<string, unknown>, path: string, name: string): void {
  if (typeof holder[name] !== 'string') throw new FileError(file, `${path}${name} must be text`, advice);
}

function checkNumbers(
  file: string,
  holder: Record<string, unknown>,
  path: string,
  names: readonly string[],
): void {
  for (const name of names) {
    const value = holder[name];
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw new FileError(file, `${path}${name} must be a finite number`, advice);
    }
  }
}

export function member(file: string, holder: Record<string, unknown>, name: string): Record<string, unknown> {
  const value = holder[name];
  if (!isJsonObject(value)) throw new FileError(file, `${name} must be an object`, advice);
  return value;
}

/** Checks that settings are there and of their kinds. */
export function checkSettings(
  file: string,
  settings: Record<string, unknown>,
  kinds: Readonly<Record<string, SettingKind>>,
): void {
  for (const [name, kind] of Object.entries(kinds)) {
    if (kind === 'number') checkNumbers(file, settings, 'settings.', [name]);
    else if (kind === 'text' || settings[name] !== null) checkText(file, settings, 'settings.', name);
  }
}

/** Whether `content` is marked as the configuration of a run that this version understands. */
export function isRunConfiguration(content: unknown): boolean {
  return isJsonObject(content) && content.schema === 1 && isJsonObject(content.settings);
}

/**
 * Checks the content of a run's `config.json`, which may come from anywhere.
 *
 * @param file Named in errors.
 * @throws FileError naming the field that is missing or wrong.
 */
export function parseRunConfiguration(content: unknown, file: string): RunConfiguration {
  if (!isJsonObject(content)) throw new FileError(file, 'it must hold a JSON object', advice);
  if (content.schema !== 1) {
    throw new FileError(
      file,
      `schema ${JSON.stringify(content.schema)} is not 1, the one this version reads`,
      advice,
    );
  }
  if (isPretraining(content))
    throw new FileError(file, 'it describes a pre-training', 'Resume it with clipself pretrain --resume');
  const settings = { ...laterSettings, ...member(file, content, 'settings') };
  checkSettings(file, settings, settingKinds);
  checkFacts(file, content);
  const { regionsHash = null } = content;
  if (regionsHash !== null) checkText(file, content, '', 'regionsHash');
  return { ...content, settings, regionsHash } as unknown as RunConfiguration;
}

/** Checks what every `config.json` holds beside its settings. */
export function checkFacts(file: string, content: Record<string, unknown>): void {
  checkText(file, content, '', 'modelHash');
  checkText(file, content, '', 'created');
  checkNumbers(file, content, '', ['totalSteps', 'stepsPerEpoch']);
  checkNumbers(file, member(file, content, 'parameters'), 'parameters.', ['total', 'trainable']);
  checkNumbers(file, member(file, content, 'imageCount'), 'imageCount.', ['found', 'training', 'heldOut']);
  const versions = member(file, content, 'versions');
  for (const name of ['clipself', 'node', 'engine']) checkText(file, versions, 'versions.', name);
}

/** Whether `content` is marked as the configuration of a pre-training. */
export const isPretraining = (content: unknown): boolean =>
  isJsonObject(content) && content.task === 'pretrain';

/** Whether `content` is marked as the configuration of a CLIPSelf run, not of a pre-training. */
export const isFineTuning = (content: unknown): boolean =>
  isRunConfiguration(content) && !isPretraining(content);

/**
 * Reads a run's `config.json`.
 *
 * @throws FileError also when there is none.
 */
export async function readRunConfiguration(file: string): Promise<RunConfiguration> {
  return parseRunConfiguration(await readJson(file), file);
}

/** Writes a run's `config.json` atomically. */
export async function writeRunConfiguration(file: string, configuration: RunConfiguration): Promise<void> {
  await writeJson(file, configuration);
}

/** A setting in which a run and a request to resume it differ. */
export interface SettingDifference {
  name: keyof TrainingSettings | 'modelHash' | 'regionsHash';
  existing: string | number | null;
  requested: string | number | null;
}

type Identity = Pick<RunConfiguration, 'settings' | 'modelHash' | 'regionsHash'>;

/**
 * What stands in the way of resuming `existing` as `requested`: every difference that could change a trained bit.
 * The model counts by its content, so that it may have moved; empty means that the run can be resumed.
 */
export function settingsMismatch(existing: Identity, requested: Identity): SettingDifference[] {
  const differences: SettingDifference[] = [];
  for (const name of ['modelHash', 'regionsHash'] as const) {
    const [before, now] = [existing[name], requested[name]];
    if (before !== now) differences.push({ name, existing: before, requested: now });
  }
  for (const name of settingNames) {
    if (name === 'model' || freeSettings.has(name)) continue;
    const [before, now] = [existing.settings[name], requested.settings[name]];
    if (before !== now) differences.push({ name, existing: before, requested: now });
  }
  return differences;
}

/** The error for a run that cannot be resumed with these settings. */
export function mismatchError(directory: string, differences: readonly SettingDifference[]): FileError {
  const list = differences.map(({ name, existing, requested }) => {
    return `${name} is ${JSON.stringify(existing)} there and ${JSON.stringify(requested)} now`;
  });
  return new FileError(
    directory,
    `it holds a run with other settings: ${list.join('; ')}`,
    'Train into another folder, or use the same settings to resume',
  );
}
