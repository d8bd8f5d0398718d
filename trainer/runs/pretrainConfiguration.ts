import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject, readJson } from '../checkpoints/jsonFile.ts';
import type { PretrainConfiguration, PretrainSettings, RunConfiguration } from '../protocol.ts';
import {
  checkFacts,
  checkSettings,
  isPretraining,
  isRunConfiguration,
  member,
  parseRunConfiguration,
  type SettingKind,
} from './runConfiguration.ts';

/** What each setting holds; a setting that is missing here does not compile. */
const settingKinds: Readonly<Record<keyof PretrainSettings, SettingKind>> = {
  arch: 'textOrNull',
  from: 'textOrNull',
  styles: 'text',
  sceneSize: 'number',
  batch: 'number',
  groups: 'number',
  steps: 'number',
  stepsPerEpoch: 'number',
  learningRate: 'number',
  weightDecay: 'number',
  warmup: 'number',
  beta1: 'number',
  beta2: 'number',
  epsilon: 'number',
  clip: 'number',
  ramp: 'number',
  seed: 'number',
  evaluationCrops: 'number',
  keepCheckpoints: 'number',
  engine: 'text',
  threads: 'number',
};

/** Settings that runs of earlier versions do not have, as those versions behaved. */
const laterSettings: Partial<PretrainSettings> = { from: null, groups: 1 };

const advice = 'Train into a new folder, or restore the config.json that the run was started with';

/**
 * Checks the content of the `config.json` of a pre-training.
 *
 * @param file Named in errors.
 * @throws FileError naming the field that is missing or wrong.
 */
function parsePretrainConfiguration(content: unknown, file: string): PretrainConfiguration {
  if (!isJsonObject(content) || !isRunConfiguration(content) || !isPretraining(content))
    throw new FileError(file, 'it does not describe a pre-training', advice);
  const settings = { ...laterSettings, ...member(file, content, 'settings') };
  checkSettings(file, settings, settingKinds);
  checkFacts(file, content);
  const { startHash = null } = content;
  if (startHash !== null && typeof startHash !== 'string')
    throw new FileError(file, 'startHash must be text', advice);
  return { ...content, settings, startHash } as unknown as PretrainConfiguration;
}

/** Reads the `config.json` of a pre-training; see `parsePretrainConfiguration`. */
export const readPretrainConfiguration = async (file: string): Promise<PretrainConfiguration> =>
  parsePretrainConfiguration(await readJson(file), file);

/** Checks the content of the `config.json` of any run, as `parseRunConfiguration` and `parsePretrainConfiguration` do. */
export function parseAnyConfiguration(
  content: unknown,
  file: string,
): RunConfiguration | PretrainConfiguration {
  return isPretraining(content)
    ? parsePretrainConfiguration(content, file)
    : parseRunConfiguration(content, file);
}

/**
 * Reads the `config.json` of any run, for those who show runs.
 *
 * @throws FileError also when there is none.
 */
export const readAnyConfiguration = async (file: string): Promise<RunConfiguration | PretrainConfiguration> =>
  parseAnyConfiguration(await readJson(file), file);

/** The settings in which two runs differ, but for those that leave every trained bit alone. */
export function pretrainDifferences(existing: PretrainConfiguration, requested: PretrainSettings): string[] {
  const names = Object.keys(settingKinds) as (keyof PretrainSettings)[];
  return names
    .filter(name => name !== 'keepCheckpoints' && existing.settings[name] !== requested[name])
    .map(name => `${name} is ${existing.settings[name]} there and ${requested[name]} now`);
}
