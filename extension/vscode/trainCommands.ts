import path from 'node:path';
import * as vscode from 'vscode';
import type { DemoAssets } from '../demoAssets.ts';
import { type FineTuneArguments, isProgrammatic, parseFineTuneArguments } from '../fineTuneRequest.ts';
import { presetOf, resolveSettings, withPresetAdvice } from '../presets.ts';
import type { RunLauncher } from '../runLauncher.ts';
import { freeDirectory, runName } from '../runName.ts';
import { stageOf } from '../runPresentation.ts';
import type { RunRegistry } from '../runRegistry.ts';
import { TrainerStartError } from '../trainerProcess.ts';
import { withCancel } from './cancellable.ts';
import { askForBoxes, askForRun, type FineTuneChoice, type ModelSupply } from './fineTunePicks.ts';
import type { WorkspaceMemory } from './memento.ts';
import type { TrainingProgress } from './progress.ts';
import { opensPanelOnStart, readTrainingSettings, runsFolderFor } from './settings.ts';
import type { TrainingPanels } from './trainingPanels.ts';

/** What starting trainers needs. */
export interface TrainContext {
  launcher: RunLauncher;
  registry: RunRegistry;
  memory: WorkspaceMemory;
  panels: TrainingPanels;
  progress: TrainingProgress;
  demo: DemoAssets;
  models: ModelSupply;
}

/** The commands that start a trainer. */
export class TrainCommands {
  readonly #context: TrainContext;

  constructor(context: TrainContext) {
    this.#context = context;
  }

  /**
   * Fine-tune CLIPSelf: asks for model, images and preset unless the argument gives them, starts the trainer and shows
   * it.
   *
   * @returns The run directory; null when the user cancelled.
   */
  async fineTune(argument: unknown): Promise<string | null> {
    requireTrust();
    const given = requestOf(argument);
    const { memory, demo, models } = this.#context;
    const choice = await askForRun(given, memory, demo, models);
    if (choice === null) return null;
    const preset = presetOf(choice.preset);
    const insisted = given.settings ?? {};
    const resolved = resolveSettings(readTrainingSettings(vscode.Uri.file(choice.images)), preset, insisted);
    const settings = isProgrammatic(given) ? resolved : await askForBoxes(resolved);
    if (settings === null) return null;
    const directory = await freeDirectory(runsFolderFor(choice.images), runName(choice.images, new Date()));
    const { model, images } = choice;
    const request = { model, images, out: directory, settings };
    await whileStarting(directory, signal =>
      this.#context.launcher.start(request, signal).catch((error: unknown) => {
        if (!(error instanceof TrainerStartError)) throw error;
        throw new TrainerStartError(withPresetAdvice(error.message, preset, insisted));
      }),
    );
    await this.#remember(choice);
    await this.#follow(directory, given.openPanel ?? opensPanelOnStart());
    return directory;
  }

  /** Continues a run that is not being trained. */
  async resume(directory: string): Promise<string> {
    requireTrust();
    await this.#context.registry.refresh();
    const run = this.#context.registry.get(directory);
    if (run !== undefined && stageOf(run.state) === 'live')
      throw new Error(`“${run.name}” is training already.`);
    if (run?.state === 'finished') throw new Error(`“${run.name}” is finished: there is nothing to resume.`);
    await whileStarting(directory, signal => this.#context.launcher.resume(directory, signal));
    await this.#follow(directory, false);
    return directory;
  }

  async #remember({ model, images, preset }: FineTuneChoice): Promise<void> {
    const { memory } = this.#context;
    await Promise.all([
      memory.models.add(model),
      memory.imageFolders.add(images),
      memory.presets.add(preset),
    ]);
  }

  async #follow(directory: string, openPanel: boolean): Promise<void> {
    const { memory, panels, progress, registry } = this.#context;
    await memory.runs.add(directory);
    if (openPanel) panels.show(directory);
    const run = await registry.register(directory);
    if (run !== undefined && stageOf(run.state) === 'live') progress.follow(run);
  }
}

/** A weights file chosen in the explorer, or the documented argument. */
function requestOf(argument: unknown): FineTuneArguments {
  if (argument instanceof vscode.Uri) return argument.scheme === 'file' ? { model: argument.fsPath } : {};
  return parseFineTuneArguments(argument);
}

/** Shows a notification with a cancel button while a trainer starts. */
const whileStarting = (
  directory: string,
  task: (signal: AbortSignal) => Promise<unknown>,
): Thenable<unknown> => withCancel(`Starting CLIPSelf run “${path.basename(directory)}”`, task);

function requireTrust(): void {
  if (!vscode.workspace.isTrusted) {
    throw new Error('Training needs a trusted workspace: run “Workspaces: Manage Workspace Trust”.');
  }
}
