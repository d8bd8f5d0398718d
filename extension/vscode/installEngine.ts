import * as vscode from 'vscode';
import { describeInstallation, type Installation } from '../../trainer/engines/tensorflow/installation.ts';
import type { LibraryKind } from '../../trainer/engines/tensorflow/setup/sizes.ts';
import { commandTitles } from '../identifiers.ts';
import {
  type InstalledEngine,
  installationText,
  parseInstallArgument,
  sizeText,
  type TensorflowSetup,
} from '../tensorflowSetup.ts';
import { withCancel } from './cancellable.ts';
import type { LogChannel } from './logChannel.ts';
import { ask, type ChoiceItem, heading } from './quickPicks.ts';
import { engineSetting, useEngine } from './settings.ts';

const TITLE = commandTitles['clipself.installCudaEngine'];

type Choice = LibraryKind | 'use' | 'remove';

const names: Readonly<Record<LibraryKind, string>> = {
  cuda: 'TensorFlow for NVIDIA cards (CUDA)',
  cpu: 'TensorFlow for the processor',
};

/**
 * Install CUDA Engine: asks which libraries, says what is fetched from where and how large it is, and installs them in the
 * background. Of an installed one it says what it is, and replaces or removes it.
 *
 * @returns What was installed; null when nothing was.
 */
export async function installEngine(
  argument: unknown,
  setup: TensorflowSetup,
  channel: LogChannel,
): Promise<InstalledEngine | null> {
  const given = parseInstallArgument(argument);
  if (given !== null) {
    if ('libraries' in given) return install(given.libraries, setup, channel);
    await setup.remove();
    return null;
  }
  const answer = await ask({ title: TITLE, placeholder: 'Which libraries?', items: itemsOf(setup) });
  if (answer.kind !== 'answered') return null;
  if (answer.value === 'use') await useEngine('tensorflow');
  else if (answer.value === 'remove') await remove(setup);
  else if (await agrees(answer.value, setup.folder)) {
    const installed = await install(answer.value, setup, channel);
    void sayInstalled(installed);
    return installed;
  }
  return null;
}

async function itemsOf(setup: TensorflowSetup): Promise<ChoiceItem<Choice>[]> {
  const state = await setup.state();
  const kinds: LibraryKind[] = process.platform === 'darwin' ? ['cpu'] : ['cuda', 'cpu'];
  const fresh = kinds.map(
    (kind): ChoiceItem<Choice> => ({
      label: `$(cloud-download) ${names[kind]}`,
      description: sizeText(kind),
      choice: kind,
    }),
  );
  if (!state.installed) return fresh;
  return [...itemsOfInstalled(state.installation, setup), heading('Install again'), ...fresh];
}

function itemsOfInstalled(installation: Installation, setup: TensorflowSetup): ChoiceItem<Choice>[] {
  const { folder } = installation;
  const inUse = engineSetting() === 'tensorflow';
  const use: ChoiceItem<Choice> = {
    label: `$(check) ${describeInstallation(installation)}`,
    description: inUse ? 'installed, and the engine in use' : 'installed: use it as the engine',
    detail: folder,
    choice: 'use',
  };
  const gone: ChoiceItem<Choice> = { label: '$(trash) Remove it', detail: folder, choice: 'remove' };
  // What was installed from a terminal belongs to whoever did that.
  return folder === setup.folder ? [use, gone] : [use];
}

async function agrees(libraries: LibraryKind, folder: string): Promise<boolean> {
  const agree = 'Download and Install';
  const options = { modal: true, detail: installationText(libraries, folder) };
  return (await vscode.window.showWarningMessage(`Install ${names[libraries]}?`, options, agree)) === agree;
}

function install(
  libraries: LibraryKind,
  setup: TensorflowSetup,
  channel: LogChannel,
): Thenable<InstalledEngine> {
  return withCancel(`Installing ${names[libraries]}`, (signal, report) => {
    let said = '';
    return setup.install(
      libraries,
      ({ message, percent }) => {
        report(signal.aborted ? 'removing what was fetched' : message, percent);
        // The bytes of a download are for the notification alone.
        if (percent === null && message !== said) channel.write('info', `[setup-tensorflow] ${message}`);
        if (percent === null) said = message;
      },
      signal,
    );
  });
}

async function sayInstalled(installed: InstalledEngine): Promise<void> {
  const notes = [
    ...(installed.cuda !== null && !installed.gpu
      ? [`It computes on the processor here: ${installed.noCard}.`]
      : []),
    ...(installed.source === 'stock'
      ? ['These are the old libraries of tfjs-node: cards newer than 2021 do not work with them.']
      : []),
  ];
  const use = 'Use as Engine';
  const message = [`${describeInstallation(installed)} is installed.`, ...notes].join(' ');
  if ((await vscode.window.showInformationMessage(message, use)) === use) await useEngine('tensorflow');
}

async function remove(setup: TensorflowSetup): Promise<void> {
  const agree = 'Remove';
  const options = { modal: true, detail: `Deletes ${setup.folder}.` };
  if ((await vscode.window.showWarningMessage('Remove TensorFlow?', options, agree)) !== agree) return;
  await setup.remove();
  if (engineSetting() === 'tensorflow') await useEngine('auto');
}
