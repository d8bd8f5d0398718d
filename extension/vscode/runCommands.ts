import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import { stopJob } from '../../trainer/slurm/queue.ts';
import { isInside } from '../candidates.ts';
import { directoryOfArgument } from '../runArgument.ts';
import type { RunLogs } from '../runLogs.ts';
import { type RunStage, stageOf } from '../runPresentation.ts';
import type { RunRegistry } from '../runRegistry.ts';
import type { SlurmJobs } from '../slurmJobs.ts';
import { isTrainedHere, stopRun } from '../stopRun.ts';
import type { LogChannel } from './logChannel.ts';
import type { WorkspaceMemory } from './memento.ts';
import { browse } from './quickPicks.ts';
import { pickRun } from './runPick.ts';
import { workspaceFolders } from './settings.ts';
import type { TrainingPanels } from './trainingPanels.ts';

/** What commands on existing runs need. */
export interface RunCommandContext {
  registry: RunRegistry;
  memory: WorkspaceMemory;
  panels: TrainingPanels;
  logs: RunLogs;
  channel: LogChannel;
  jobs: SlurmJobs;
}

/** The commands on runs that exist. */
export class RunCommands {
  readonly #context: RunCommandContext;

  constructor(context: RunCommandContext) {
    this.#context = context;
  }

  /**
   * The run a command is meant for: the one its argument names, else that of the active panel, else the one that
   * the user picks among those in the wanted stage. Null when there is none.
   */
  async runFor(argument: unknown, title: string, stage?: RunStage): Promise<string | null> {
    const named = directoryOfArgument(argument);
    if (named !== null) return named;
    await this.#context.registry.refresh();
    const fits = (run: RunSummary) => stage === undefined || stageOf(run.state) === stage;
    const active = this.#context.panels.active?.summary;
    if (active && fits(active)) return active.directory;
    const candidates = this.#context.registry.runs.filter(fits);
    if (candidates.length === 0) {
      const reasons = { live: 'Nothing trains.', resumable: 'There is no run to resume.', finished: '' };
      void vscode.window.showInformationMessage(
        stage === undefined ? 'There are no runs yet.' : reasons[stage],
      );
    }
    return pickRun(candidates, title);
  }

  async openPanel(argument: unknown): Promise<string | null> {
    const directory = directoryOfArgument(argument) ?? (await this.#chooseForPanel());
    if (directory === null) return null;
    const run = await this.#context.registry.register(directory);
    if (run === undefined) {
      throw new Error(`${directory} holds no run. Choose a folder with the config.json of a run.`);
    }
    await this.#context.memory.runs.add(directory);
    this.#context.panels.show(directory);
    return directory;
  }

  /** A run that trains alone is meant; otherwise the user picks one, or looks for one elsewhere. */
  async #chooseForPanel(): Promise<string | null> {
    await this.#context.registry.refresh();
    const { live, runs } = this.#context.registry;
    if (live.length === 1) return live[0]!.directory;
    const options = {
      title: 'Run directory',
      openLabel: 'Open Run',
      canSelectFiles: false,
      canSelectFolders: true,
    };
    return pickRun(runs, 'Open Training Panel', () => browse(options));
  }

  async stop(directory: string): Promise<void> {
    if (!vscode.workspace.isTrusted) throw new Error('Stopping a trainer needs a trusted workspace.');
    const job = this.#context.jobs.of(directory);
    // A trainer of another machine is reached through Slurm; told so, it saves and is not queued again.
    if (job !== undefined && !(await isTrainedHere(directory))) {
      await stopJob(job.job);
      this.#context.channel.write('info', `${directory}: job ${job.job} stops after its step`);
      return;
    }
    const outcome = await stopRun(directory);
    if (outcome.kind === 'notRunning') {
      void vscode.window.showInformationMessage('No trainer is at work on this run.');
    } else {
      const how = outcome.kind === 'agreed' ? `after step ${outcome.afterStep}` : 'on SIGTERM';
      this.#context.channel.write('info', `${directory}: stops ${how}`);
    }
    await this.#context.registry.refresh();
  }

  /** Shows the run directory in the explorer where it is part of the workspace, else in the system's file manager. */
  async reveal(directory: string): Promise<void> {
    const uri = vscode.Uri.file(directory);
    const isLocal = vscode.env.remoteName === undefined && vscode.env.uiKind === vscode.UIKind.Desktop;
    if (workspaceFolders().some(folder => isInside(directory, folder))) {
      await vscode.commands.executeCommand('revealInExplorer', uri);
    } else if (isLocal) {
      await vscode.commands.executeCommand('revealFileInOS', uri);
    } else {
      await vscode.commands.executeCommand('vscode.openFolder', uri, { forceNewWindow: true });
    }
  }

  /** Shows the log channel, with the log of the run that is named, active or training brought up to date. */
  async showLog(argument: unknown): Promise<void> {
    const { channel, logs, panels, registry } = this.#context;
    const directory =
      directoryOfArgument(argument) ?? panels.active?.directory ?? registry.runs[0]?.directory ?? null;
    if (directory !== null) await logs.catchUp(directory);
    channel.show();
  }
}
