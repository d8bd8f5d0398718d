import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { makeDirectories, writeText } from '../../trainer/checkpoints/atomicFile.ts';
import type { RunSummary } from '../../trainer/protocol.ts';
import { batchScript, jobFilesOf, type SlurmRequest } from '../../trainer/slurm/batchScript.ts';
import { cancelJob, submitJob } from '../../trainer/slurm/queue.ts';
import { trainArguments } from '../commandLine.ts';
import type { DemoAssets } from '../demoAssets.ts';
import { trainingTerms } from '../editorTerms.ts';
import { type FineTuneArguments, isProgrammatic, parseFineTuneArguments } from '../fineTuneRequest.ts';
import { presetOf, resolveSettings } from '../presets.ts';
import { directoryOfArgument } from '../runArgument.ts';
import { freeDirectory, runName } from '../runName.ts';
import type { RunRegistry } from '../runRegistry.ts';
import { describeJob, type SlurmJob, type SlurmJobs } from '../slurmJobs.ts';
import {
  problemWithSlurmSetting,
  slurmRequestOf,
  slurmSettingKey,
  slurmSettingNames,
} from '../slurmRequest.ts';
import { clearLine } from '../trainerProcess.ts';
import { askForBoxes, askForRun, type FineTuneChoice, type ModelSupply } from './fineTunePicks.ts';
import type { LogChannel } from './logChannel.ts';
import type { WorkspaceMemory } from './memento.ts';
import { opensPanelOnStart, readTrainingSettings, runsFolderFor } from './settings.ts';
import type { TrainingPanels } from './trainingPanels.ts';

export interface SlurmContext {
  /** Where the extension is installed. */
  extensionPath: string;
  jobs: SlurmJobs;
  registry: RunRegistry;
  memory: WorkspaceMemory;
  panels: TrainingPanels;
  demo: DemoAssets;
  models: ModelSupply;
  channel: LogChannel;
}

const TITLE = 'Fine-tune on Slurm';

/** What the command takes beside the arguments of Fine-tune. */
interface SlurmArguments extends FineTuneArguments {
  /** Settings that win over `clipself.slurm`. */
  slurm?: Readonly<Record<string, unknown>>;
}

/** Hands runs to a Slurm cluster, and takes them back. */
export class SlurmCommand {
  readonly #context: SlurmContext;
  /** Runs whose panel opens when they begin. */
  readonly #expected = new Set<string>();

  constructor(context: SlurmContext) {
    this.#context = context;
  }

  /**
   * Fine-tune on Slurm: asks what Fine-tune asks and what the job needs, writes the batch script beside the run and hands
   * it in.
   *
   * @returns The run directory; null when the user cancelled.
   */
  async fineTune(argument: unknown): Promise<string | null> {
    requireTrust();
    const { slurm, ...given } = argumentsOf(argument);
    const { memory, demo, models, jobs, channel } = this.#context;
    const choice = await askForRun(given, memory, demo, models, TITLE);
    if (choice === null) return null;
    const scope = vscode.Uri.file(choice.images);
    const resolved = resolveSettings(
      readTrainingSettings(scope),
      presetOf(choice.preset),
      given.settings ?? {},
    );
    const settings = isProgrammatic(given) ? resolved : await askForBoxes(resolved);
    if (settings === null) return null;
    const standard = { ...readSlurmSettings(scope), ...slurm };
    const asked = isProgrammatic(given) ? standard : await askForResources(standard);
    if (asked === null) return null;
    const request = slurmRequestOf(asked);
    const folder = runsFolderFor(choice.images);
    const directory = await freeDirectory(folder, runName(choice.images, new Date()));
    const { model, images } = choice;
    const { script } = jobFilesOf(directory);
    const call = {
      node: process.execPath,
      program: path.join(this.#context.extensionPath, 'dist', 'trainer', 'cli.js'),
      args: trainArguments({ model, images, out: directory, settings }),
      folder,
    };
    await makeDirectories(folder);
    await writeText(script, batchScript(request, call, directory));
    const record = await submitJob(script, directory);
    channel.write('info', `[${path.basename(directory)}] handed to Slurm as job ${record.job}: ${script}`);
    await this.#remember(choice, directory);
    if (given.openPanel ?? opensPanelOnStart()) this.#expected.add(directory);
    jobs.add(record);
    return directory;
  }

  /** Opens the panels of runs that have begun. */
  show(runs: readonly RunSummary[]): void {
    for (const { directory } of runs)
      if (this.#expected.delete(directory)) this.#context.panels.show(directory);
  }

  /** Cancel Slurm Job: the one of the run that the argument names, else the one that the user picks. */
  async cancel(argument: unknown): Promise<void> {
    requireTrust();
    const { jobs } = this.#context;
    const directory = directoryOfArgument(argument);
    const job = directory === null ? await pickJob(jobs.jobs) : jobs.of(directory);
    if (job === null) return;
    if (job === undefined) throw new Error('No Slurm job is known for this run, or it has left the queue.');
    await cancelJob(job.job);
    this.#context.channel.write('info', `job ${job.job} was cancelled: ${job.directory}`);
    await jobs.refresh();
  }

  /** A job that ended without a run has left its reason in its log alone. */
  async tellEnd({ job, directory }: SlurmJob): Promise<void> {
    const { registry, channel } = this.#context;
    await registry.refresh();
    this.#expected.delete(directory);
    const name = path.basename(directory);
    if (registry.get(directory) !== undefined) {
      channel.write('info', `[${name}] job ${job} has left the queue`);
      return;
    }
    const { log } = jobFilesOf(directory);
    const reason = clearLine(await readFile(log, 'utf8').catch(() => ''), trainingTerms);
    const message = `Slurm job ${job} of “${name}” ended before its run began${reason === null ? '.' : `: ${reason}`}`;
    channel.write('warn', message);
    const chosen = await vscode.window.showWarningMessage(message, 'Show Job Log');
    if (chosen !== undefined) await vscode.window.showTextDocument(vscode.Uri.file(log));
  }

  async #remember({ model, images, preset }: FineTuneChoice, directory: string): Promise<void> {
    const { memory, registry } = this.#context;
    await Promise.all([
      memory.models.add(model),
      memory.imageFolders.add(images),
      memory.presets.add(preset),
    ]);
    await memory.runs.add(directory);
    await registry.register(directory);
  }
}

function argumentsOf(argument: unknown): SlurmArguments {
  if (argument instanceof vscode.Uri) return argument.scheme === 'file' ? { model: argument.fsPath } : {};
  if (typeof argument !== 'object' || argument === null || !('slurm' in argument))
    return parseFineTuneArguments(argument);
  const { slurm, ...others } = argument;
  if (typeof slurm !== 'object' || slurm === null || Array.isArray(slurm))
    throw new Error('“slurm” must be an object.');
  return { ...parseFineTuneArguments(others), slurm: slurm as Record<string, unknown> };
}

function readSlurmSettings(scope: vscode.Uri): Record<string, unknown> {
  const configuration = vscode.workspace.getConfiguration(undefined, scope);
  return Object.fromEntries(slurmSettingNames.map(name => [name, configuration.get(slurmSettingKey(name))]));
}

/** What is asked for; everything else is a setting. */
const questions: readonly (readonly [keyof SlurmRequest, string])[] = [
  ['nodes', 'Machines'],
  ['tasksPerNode', 'Ranks on each machine'],
  ['gpusPerTask', 'Graphics cards for each rank; empty for none'],
  ['time', 'Time limit, such as 12:00:00; empty for the cluster’s own. The job goes on after it'],
  ['partition', 'Partition; empty for the cluster’s own'],
];

async function askForResources(
  standard: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown> | null> {
  const answers: Record<string, unknown> = { ...standard };
  for (const [index, [name, prompt]] of questions.entries()) {
    const value = standard[name];
    const answer = await vscode.window.showInputBox({
      title: `${TITLE} (${index + 1}/${questions.length})`,
      prompt,
      value: typeof value === 'string' || typeof value === 'number' ? String(value) : '',
      ignoreFocusOut: true,
      validateInput: text => problemWithSlurmSetting(name, text),
    });
    if (answer === undefined) return null;
    answers[name] = answer;
  }
  return answers;
}

async function pickJob(jobs: readonly SlurmJob[]): Promise<SlurmJob | null> {
  if (jobs.length === 0) {
    void vscode.window.showInformationMessage('No Slurm job of this workspace is in the queue.');
    return null;
  }
  const items = jobs.map(job => ({
    label: path.basename(job.directory),
    description: describeJob(job),
    job,
  }));
  return (await vscode.window.showQuickPick(items, { title: 'Cancel Slurm Job' }))?.job ?? null;
}

function requireTrust(): void {
  if (!vscode.workspace.isTrusted)
    throw new Error('Slurm jobs need a trusted workspace: run “Workspaces: Manage Workspace Trust”.');
}
