import * as vscode from 'vscode';
import { describeCheck, type EngineCheck, runEngineCheck } from '../engineCheck.ts';
import type { CommandId } from '../identifiers.ts';
import { withCancel } from './cancellable.ts';
import type { LogChannel } from './logChannel.ts';
import { ask, type ChoiceItem, heading } from './quickPicks.ts';
import { engineSetting, useEngine } from './settings.ts';

const TITLE = 'Check Engines';

const INSTALL: CommandId = 'clipself.installCudaEngine';

type Answer = { use: string } | { install: true } | { report: true } | { forget: true };

/** Check Engines: tries each, shows which work here and why the others do not, and lets the user take one. */
export async function checkEngines(extensionFolder: string, channel: LogChannel): Promise<EngineCheck> {
  let check = await tryEngines(extensionFolder, false);
  for (;;) {
    for (const line of describeCheck(check)) channel.write('info', line);
    const answer = await ask({
      title: TITLE,
      placeholder: `Which engine? Now: ${engineSetting()}`,
      items: itemsOf(check),
    });
    if (answer.kind !== 'answered') return check;
    if ('use' in answer.value) {
      await useEngine(answer.value.use);
      return check;
    }
    if ('install' in answer.value) {
      await vscode.commands.executeCommand(INSTALL);
      return check;
    }
    if ('report' in answer.value) {
      channel.show();
      return check;
    }
    check = await tryEngines(extensionFolder, true);
  }
}

function itemsOf({ engines, choices }: EngineCheck): ChoiceItem<Answer>[] {
  const chosen = choices.map(({ model, engine }) => `${engine} for ${model}`).join(', ');
  return [
    {
      label: '$(circuit-board) auto',
      description: 'takes the fastest',
      detail: chosen || 'measures when a model is first run',
      choice: { use: 'auto' },
    },
    ...engines.map(({ engine, works, detail }) =>
      works
        ? { label: `$(pass) ${engine}`, description: 'works here', detail, choice: { use: engine } }
        : {
            label: `$(error) ${engine}`,
            description: engine === 'tensorflow' ? 'does not work here: install it' : 'does not work here',
            detail,
            choice: engine === 'tensorflow' ? { install: true as const } : { report: true as const },
          },
    ),
    heading(''),
    { label: '$(output) Show the report', choice: { report: true } },
    { label: '$(refresh) Measure again', detail: 'Forgets what auto remembers', choice: { forget: true } },
  ];
}

const tryEngines = (extensionFolder: string, remeasure: boolean): Thenable<EngineCheck> =>
  withCancel('Trying the engines', signal => runEngineCheck(extensionFolder, remeasure, signal));
