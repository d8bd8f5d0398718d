import path from 'node:path';
import * as vscode from 'vscode';
import { tf32Variable } from '../trainer/engines/tensorflow/installation.ts';
import { readQueue } from '../trainer/slurm/queue.ts';
import type { PanelCommand } from '../webview/training/protocol.ts';
import { isAnnotationArgument } from './annotationRequest.ts';
import { isCompareArgument } from './compareRequest.ts';
import { demoAssets } from './demoAssets.ts';
import { isEvaluationArgument } from './evaluationRequest.ts';
import { isProgrammatic } from './fineTuneRequest.ts';
import { type CommandId, settingKeys } from './identifiers.ts';
import { isInspectArgument } from './inspectorRequest.ts';
import { ModelDownloads } from './modelDownload.ts';
import { isEvaluateCall } from './regionEvaluation.ts';
import { CommandCancelledError } from './runCommand.ts';
import { RunLauncher } from './runLauncher.ts';
import { RunLogs } from './runLogs.ts';
import { stageOf } from './runPresentation.ts';
import { RunRegistry } from './runRegistry.ts';
import { SlurmJobs } from './slurmJobs.ts';
import { isInstallArgument, TensorflowSetup } from './tensorflowSetup.ts';
import { provideEngineVariables, StartCancelledError } from './trainerProcess.ts';
import { AnnotateCommand } from './vscode/annotateCommand.ts';
import { checkEngines } from './vscode/checkEngines.ts';
import { type CommandHandlers, registerCommands } from './vscode/commands.ts';
import { Comparisons } from './vscode/comparisons.ts';
import { ContextKeys } from './vscode/contextKeys.ts';
import { DemoCommands } from './vscode/demoCommands.ts';
import { EvaluateCommand } from './vscode/evaluateCommand.ts';
import { Evaluations } from './vscode/evaluations.ts';
import { getModel } from './vscode/getModel.ts';
import { Inspector } from './vscode/inspector.ts';
import { installEngine } from './vscode/installEngine.ts';
import { LogChannel } from './vscode/logChannel.ts';
import { workspaceMemory } from './vscode/memento.ts';
import { sayFarewell, sayModelReady, sayProblem } from './vscode/notifications.ts';
import { TrainingProgress } from './vscode/progress.ts';
import { RunCommands } from './vscode/runCommands.ts';
import { RunTree } from './vscode/runTree.ts';
import { SegmentCommand } from './vscode/segmentCommand.ts';
import { allowsTf32, runsFolders } from './vscode/settings.ts';
import { SlurmCommand } from './vscode/slurmCommand.ts';
import { StatusBar } from './vscode/statusBar.ts';
import { TerminalCommand } from './vscode/terminalCommand.ts';
import { TrainCommands } from './vscode/trainCommands.ts';
import { TrainingPanels } from './vscode/trainingPanels.ts';

/**
 * Puts the parts together. Nothing here ends a trainer: runs outlive windows on purpose. The inspector's service is ended
 * with the window.
 */
export function activate(context: vscode.ExtensionContext): void {
  const memory = workspaceMemory(context.workspaceState);
  const channel = new LogChannel();
  const registry = new RunRegistry();
  const logs = new RunLogs((level, line) => channel.write(level, line));
  const panels = new TrainingPanels(
    {
      extensionUri: context.extensionUri,
      execute: (command, directory) => executeButton(command, directory),
      reportError: message => channel.error(message),
    },
    directory => void registry.register(directory),
  );
  const progress = new TrainingProgress(directory => guarded(() => runCommands.stop(directory)));
  const jobs = new SlurmJobs({ readQueue, now: () => performance.now() }, tellMessage);
  const runCommands = new RunCommands({ registry, memory, panels, logs, channel, jobs });
  const demo = demoAssets(context.extensionPath);
  const downloads = new ModelDownloads(
    context.extensionPath,
    path.join(context.globalStorageUri.fsPath, 'models'),
  );
  const tensorflow = new TensorflowSetup(
    context.extensionPath,
    path.join(context.globalStorageUri.fsPath, 'tensorflow'),
  );
  const engineVariables = () => ({
    ...tensorflow.variables,
    ...(allowsTf32() ? { [tf32Variable]: '1' } : {}),
  });
  provideEngineVariables(engineVariables);
  const terminalCommand = new TerminalCommand(context, engineVariables, channel);
  const models = { present: () => downloads.present(), get: () => getModel(downloads, memory) };
  const inspector = new Inspector({ extension: context, registry, memory, channel, demo, models });
  const evaluations = new Evaluations({
    ...{ extension: context, registry, channel, inspector, trainingPanels: panels },
  });
  const comparisons = new Comparisons({ extension: context, registry, channel, inspector });
  const trainCommands = new TrainCommands({
    launcher: new RunLauncher(context.extensionPath, context.logUri.fsPath),
    registry,
    memory,
    panels,
    progress,
    demo,
    models,
  });

  const slurmCommand = new SlurmCommand({
    ...{ extensionPath: context.extensionPath, jobs, registry, memory, panels, demo, models, channel },
  });
  const picks = { memory, registry, demo, models };
  const evaluateCommand = new EvaluateCommand(picks, context.extensionPath);
  const segmentCommand = new SegmentCommand(picks, context.extensionPath);
  const annotateCommand = new AnnotateCommand(picks, context.extensionPath);
  const demoCommands = new DemoCommands(context, demo, registry);

  const buttons: Readonly<Record<PanelCommand, (directory: string) => Promise<unknown>>> = {
    stop: directory => runCommands.stop(directory),
    resume: directory => trainCommands.resume(directory),
    compare: directory => comparisons.add(directory),
    openLog: directory => runCommands.showLog(directory),
    reveal: directory => runCommands.reveal(directory),
  };
  async function executeButton(command: PanelCommand, directory: string): Promise<void> {
    await buttons[command](directory);
  }

  function tellFailure(error: unknown): void {
    if (error instanceof StartCancelledError || error instanceof CommandCancelledError) return;
    tellMessage(error instanceof Error ? error.message : String(error));
  }

  function tellMessage(message: string): void {
    channel.error(message);
    void sayProblem(message);
  }

  function watchRuns(): void {
    registry.watch(runsFolders());
    // Jobs are asked for by a program of the system.
    if (vscode.workspace.isTrusted) void jobs.watch(runsFolders());
  }

  async function guarded(task: () => Promise<void>): Promise<void> {
    await task().catch(tellFailure);
  }

  const failed = (error: unknown, argument: unknown) => {
    // A program that calls the command gets the reason itself.
    const programmatic = [
      isProgrammatic,
      isInspectArgument,
      isEvaluateCall,
      isEvaluationArgument,
      isCompareArgument,
      isAnnotationArgument,
      isInstallArgument,
    ];
    if (programmatic.some(is => is(argument))) throw error;
    tellFailure(error);
  };

  context.subscriptions.push(
    channel,
    registry,
    logs,
    panels,
    progress,
    inspector,
    evaluations,
    comparisons,
    tensorflow,
    terminalCommand,
    registerCommands(
      {
        ...commandHandlers(
          trainCommands,
          runCommands,
          registry,
          inspector,
          evaluateCommand,
          segmentCommand,
          evaluations,
          jobs,
        ),
        'clipself.fineTuneOnSlurm': argument => slurmCommand.fineTune(argument),
        'clipself.cancelJob': argument => slurmCommand.cancel(argument),
        'clipself.checkEngines': () => checkEngines(context.extensionPath, channel),
        'clipself.installCudaEngine': argument =>
          installEngine(argument, tensorflow, channel).finally(() => terminalCommand.update()),
        'clipself.compareRuns': (argument, selection) =>
          comparisons.compare(argument, selection, panels.active?.directory ?? null),
        'clipself.propose': argument => annotateCommand.annotate(argument, false),
        'clipself.pseudoLabel': argument => annotateCommand.annotate(argument, true),
        'clipself.openDemo': () => demoCommands.open(),
        'clipself.inspectDemo': () => demoCommands.inspect(),
        'clipself.fineTuneDemo': () => demoCommands.fineTune(),
        'clipself.evaluateDemo': () => demoCommands.evaluate(),
        'clipself.getModel': async () => {
          const directory = await models.get();
          if (directory !== null) void sayModelReady(directory);
          return directory;
        },
      },
      failed,
    ),
    ...presentRuns({ registry, channel, logs, panels, progress, jobs, slurmCommand, guarded }),
    vscode.workspace.onDidChangeWorkspaceFolders(watchRuns),
    vscode.workspace.onDidChangeConfiguration(event => {
      if (event.affectsConfiguration(settingKeys.runsFolder)) watchRuns();
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(watchRuns),
  );
  watchRuns();
  void terminalCommand.update();
  void guarded(() => demoCommands.goOn());
  for (const directory of memory.runs.list()) void registry.register(directory);
}

type DemoCommandId = Extract<CommandId, `clipself.${string}Demo`>;

function commandHandlers(
  trainCommands: TrainCommands,
  runCommands: RunCommands,
  registry: RunRegistry,
  inspector: Inspector,
  evaluateCommand: EvaluateCommand,
  segmentCommand: SegmentCommand,
  evaluations: Evaluations,
  jobs: SlurmJobs,
): Omit<
  CommandHandlers,
  | 'clipself.getModel'
  | 'clipself.fineTuneOnSlurm'
  | 'clipself.cancelJob'
  | 'clipself.checkEngines'
  | 'clipself.installCudaEngine'
  | 'clipself.compareRuns'
  | 'clipself.propose'
  | 'clipself.pseudoLabel'
  | DemoCommandId
> {
  return {
    'clipself.fineTune': argument => trainCommands.fineTune(argument),
    'clipself.openTrainingPanel': argument => runCommands.openPanel(argument),
    'clipself.stop': async argument => {
      const directory = await runCommands.runFor(argument, 'Stop', 'live');
      if (directory !== null) await runCommands.stop(directory);
    },
    'clipself.resume': async argument => {
      const directory = await runCommands.runFor(argument, 'Resume', 'resumable');
      return directory === null ? null : trainCommands.resume(directory);
    },
    'clipself.revealRun': async argument => {
      const directory = await runCommands.runFor(argument, 'Reveal Run');
      if (directory !== null) await runCommands.reveal(directory);
    },
    'clipself.showLog': argument => runCommands.showLog(argument),
    'clipself.evaluate': argument => evaluateCommand.evaluate(argument),
    'clipself.segment': argument => segmentCommand.segment(argument),
    'clipself.refreshRuns': async () => {
      await registry.refresh();
      await jobs.refresh();
    },
    'clipself.inspectDenseFeatures': (argument, selection) => inspector.inspect(argument, selection),
    'clipself.openEvaluation': argument => evaluations.open(argument),
  };
}

interface Presented {
  registry: RunRegistry;
  channel: LogChannel;
  logs: RunLogs;
  panels: TrainingPanels;
  progress: TrainingProgress;
  jobs: SlurmJobs;
  slurmCommand: SlurmCommand;
  guarded: (task: () => Promise<void>) => Promise<void>;
}

/** Shows the runs wherever they show: view, status bar, notification, log, `when` clauses. */
function presentRuns({
  registry,
  channel,
  logs,
  panels,
  progress,
  jobs,
  slurmCommand,
  guarded,
}: Presented): vscode.Disposable[] {
  const tree = new RunTree();
  const statusBar = new StatusBar();
  const contextKeys = new ContextKeys();
  const show = (): void => {
    tree.show(registry.runs, jobs.jobs);
    statusBar.show(registry.live, jobs.jobs);
  };
  return [
    tree,
    statusBar,
    registry.onDidChange(runs => {
      show();
      slurmCommand.show(runs);
      progress.update(runs);
      logs.follow(registry.live);
      contextKeys.showRuns(runs);
    }),
    registry.onDidTransition(({ before, after }) => {
      channel.write('info', `[${after.name}] ${before.state} → ${after.state} at step ${after.step}`);
      const ended = stageOf(before.state) === 'live' && stageOf(after.state) !== 'live';
      // Slurm may have made it save and queued it again.
      const isQueued = after.state !== 'finished' && jobs.of(after.directory) !== undefined;
      if (ended && !isQueued) void guarded(() => sayFarewell(after));
    }),
    jobs,
    jobs.onDidChange(() => {
      show();
      contextKeys.showJobs(jobs.jobs.length);
    }),
    jobs.onDidEnd(job => void guarded(() => slurmCommand.tellEnd(job))),
    panels.onDidChangeActive(panel => contextKeys.showActivePanel(panel?.summary ?? null)),
  ];
}
