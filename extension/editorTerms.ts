import { holdsPretraining, settingFlags } from './commandLine.ts';
import { type TunableSetting, trainingSettingKey } from './identifiers.ts';

/** What VS Code says for flags of the command line; undefined where it says the same. */
export type EditorTerms = Pick<ReadonlyMap<string, string>, 'get'>;

const inTerminal = (flag: string): string => `${flag} (in a terminal)`;

const picked: [string, string][] = [
  ['--model', 'the model'],
  ['--images', 'the images'],
];

/** Of a fine-tuning, whose flags are settings. */
export const trainingTerms: EditorTerms = new Map([
  ...picked,
  ...(Object.entries(settingFlags) as [TunableSetting, string][]).map(([setting, flag]): [string, string] => [
    flag,
    trainingSettingKey(setting),
  ]),
]);

/** Of a pre-training, which only a terminal starts. */
const pretrainingTerms: EditorTerms = { get: inTerminal };

/** Of the run in a directory, or of the fine-tuning that is to begin there. */
export const termsOfRun = async (directory: string): Promise<EditorTerms> =>
  (await holdsPretraining(directory)) ? pretrainingTerms : trainingTerms;

const terminalFlags = ['--arch', '--out', '--skip-broken'];

/** Of everything else. */
export const otherTerms: EditorTerms = new Map([
  ...picked,
  ['--size', 'the size'],
  ['--classes', 'the list of classes'],
  ['--format', 'the format of the labels'],
  ['--engine', trainingSettingKey('engine')],
  ...terminalFlags.map((flag): [string, string] => [flag, inTerminal(flag)]),
]);

/** Commands in quotes are for a terminal, as they are; of paths, flags are no part. */
const quotedOrFlag = /'clipself [^']*'|(?<=^|[\s(])--[a-z][a-z\d-]*(?![\w/])/g;

/** A message of the trainer, which speaks of its flags, as VS Code says it. */
export const inEditorTerms = (message: string, terms: EditorTerms = otherTerms): string =>
  message.replace(quotedOrFlag, found => (found.startsWith("'") ? found : (terms.get(found) ?? found)));
