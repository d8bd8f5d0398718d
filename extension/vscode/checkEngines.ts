import * as vscode from 'vscode';
import { describeCheck, type EngineCheck, runEngineCheck } from '../engineCheck.ts';
import { trainingSettingKey } from '../identifiers.ts';
import type { LogChannel } from './logChannel.ts';
import { ask, type ChoiceItem, heading } from './quickPicks.ts';
import { engineSetting } from './settings.ts';

const TITLE = 'Check Engines';

type Answer = { use: string } | { report: true } | { forget: true };

/** Check Engines: tries each, shows which work here and why the others do not, and lets the user take one. */
export async function checkEngines(extensionFolder: string, channel: LogChannel): Promise<EngineCheck> {
  let check = await runWithProgress(extensionFolder, false);
  for (;;) {
    for (const line of describeCheck(check)) channel.write('info', line);
    const answer = await ask({
      title: TITLE,
      placeholder: `Which engine? Now: ${engineSetting()}`,
      items: itemsOf(check),
    });
    if (answer.kind !== 'answered') return check;
    if ('use' in answer.value) {
      await take(answer.value.use);
      return check;
    }
    if ('report' in answer.value) {
      channel.show();
      return check;
    }
    check = await runWithProgress(extensionFolder, true);
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
            description: 'does not work here',
            detail,
            choice: { report: true as const },
          },
    ),
    heading(''),
    { label: '$(output) Show the report', choice: { report: true } },
    { label: '$(refresh) Measure again', detail: 'Forgets what auto remembers', choice: { forget: true } },
  ];
}

/** Where the setting is in force already, there it is changed; otherwise for this user on this machine. */
async function take(engine: string): Promise<void> {
  const configuration = vscode.workspace.getConfiguration();
  const key = trainingSettingKey('engine');
  const inWorkspace = configuration.inspect(key)?.workspaceValue !== undefined;
  await configuration.update(
    key,
    engine,
    inWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global,
  );
}

function runWithProgress(extensionFolder: string, remeasure: boolean): Thenable<EngineCheck> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    cancellable: true,
    title: 'Trying the engines',
  };
  return vscode.window.withProgress(options, (_progress, token) => {
    const controller = new AbortController();
    token.onCancellationRequested(() => controller.abort());
    return runEngineCheck(extensionFolder, remeasure, controller.signal);
  });
}
