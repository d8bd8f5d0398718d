import { settingFlags } from './commandLine.ts';
import { type TunableSetting, trainingSettingKey } from './identifiers.ts';

/** What VS Code says for flags of the command line. */
export type EditorTerms = ReadonlyMap<string, string>;

const picked: [string, string][] = [
  ['--model', 'the model'],
  ['--images', 'the images'],
];

/** Of a run, whose flags are settings. */
export const trainingTerms: EditorTerms = new Map([
  ...picked,
  ...(Object.entries(settingFlags) as [TunableSetting, string][]).map(([setting, flag]): [string, string] => [
    flag,
    trainingSettingKey(setting),
  ]),
]);

const terminalFlags = ['--arch', '--out', '--skip-broken'];

/** Of everything else. */
export const otherTerms: EditorTerms = new Map([
  ...picked,
  ['--size', 'the size'],
  ['--engine', trainingSettingKey('engine')],
  ...terminalFlags.map((flag): [string, string] => [flag, `${flag} (in a terminal)`]),
]);

/** Commands in quotes are for a terminal, as they are; of paths, flags are no part. */
const quotedOrFlag = /'clipself [^']*'|(?<=^|[\s(])--[a-z][a-z\d-]*(?![\w/])/g;

/** A message of the trainer, which speaks of its flags, as VS Code says it. */
export const inEditorTerms = (message: string, terms: EditorTerms = otherTerms): string =>
  message.replace(quotedOrFlag, found => terms.get(found) ?? found);
