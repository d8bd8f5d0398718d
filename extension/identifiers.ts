/**
 * Every name that `package.json` and the code must agree on. `test/unit/extensionManifest.test.ts` compares the two.
 * Handlers, settings readers and context keys are typed by these constants, so a name without its counterpart does not
 * compile.
 */

import type { TrainingSettings } from '../trainer/protocol.ts';

/** Category of every command in the palette. */
export const COMMAND_CATEGORY = 'CLIPSelf';

/** Command identifiers and their titles. */
export const commandTitles = {
  'clipself.fineTune': 'Fine-tune CLIPSelf',
  'clipself.fineTuneOnSlurm': 'Fine-tune on Slurm',
  'clipself.cancelJob': 'Cancel Slurm Job',
  'clipself.openTrainingPanel': 'Open Training Panel',
  'clipself.stop': 'Stop',
  'clipself.resume': 'Resume',
  'clipself.revealRun': 'Reveal Run',
  'clipself.showLog': 'Show Log',
  'clipself.evaluate': 'Evaluate Region Classification',
  'clipself.segment': 'Evaluate Segmentation',
  'clipself.refreshRuns': 'Refresh Runs',
  'clipself.inspectDenseFeatures': 'Inspect Dense Features',
  'clipself.getModel': 'Get a Model',
  'clipself.openEvaluation': 'Open Evaluation',
  'clipself.checkEngines': 'Check Engines',
  'clipself.installCudaEngine': 'Install CUDA Engine',
  'clipself.compareRuns': 'Compare Runs',
  'clipself.propose': 'Propose Regions',
  'clipself.pseudoLabel': 'Name Regions by Words',
  'clipself.openDemo': 'Open the Demo',
  'clipself.inspectDemo': 'Inspect the Demo Scenes',
  'clipself.fineTuneDemo': 'Fine-tune on the Demo Scenes',
  'clipself.evaluateDemo': 'Open the Demo Evaluation',
} as const;

export type CommandId = keyof typeof commandTitles;

export const RUNS_VIEW = 'clipself.runs';
export const VIEW_CONTAINER = 'clipself';
export const TRAINING_PANEL_TYPE = 'clipself.training';
/** Custom editor of “Reopen With…”. */
export const INSPECTOR_EDITOR_TYPE = 'clipself.inspector';
/** Panel that the command opens. */
export const INSPECTOR_PANEL_TYPE = 'clipself.inspectorPanel';

export const EVALUATION_PANEL_TYPE = 'clipself.evaluationPanel';
/** Custom editor of “Reopen With…” on a report. */
export const EVALUATION_EDITOR_TYPE = 'clipself.evaluation';

export const COMPARISON_PANEL_TYPE = 'clipself.comparisonPanel';

/** Context keys of `when` clauses. */
export const contextKeys = {
  /** At least one run is known. */
  hasRuns: 'clipself.hasRuns',
  /** A trainer is at work on a known run. */
  hasLiveRun: 'clipself.hasLiveRun',
  /** A Slurm job of this workspace is in the queue. */
  hasJobs: 'clipself.hasJobs',
  /** A known run can be resumed. */
  hasResumableRun: 'clipself.hasResumableRun',
  /** `live`, `resumable` or `finished`: the run of the focused training panel; empty without one. */
  activePanelRun: 'clipself.activePanelRun',
} as const;

export type ContextKey = (typeof contextKeys)[keyof typeof contextKeys];

/** Settings of a run that are neither the model nor the images: each is a VS Code setting and a command-line flag. */
/** Runs from VS Code are one process: what several ranks do is set where they are launched. */
type RankSetting = 'ranks' | 'exchange' | 'compareWeightsEvery';
type Tunable = Omit<TrainingSettings, 'model' | 'images' | RankSetting>;
export type TunableSetting = keyof Tunable;
/** Null lets the trainer decide, by the model or the number of images. */
export type TunableSettings = { [Setting in TunableSetting]: Tunable[Setting] | null };

/** Settings outside `clipself.training`. */
export const settingKeys = {
  runsFolder: 'clipself.runs.folder',
  evaluationFolder: 'clipself.evaluation.folder',
  openPanelOnStart: 'clipself.trainingPanel.openOnStart',
  tensorflowTf32: 'clipself.tensorflowTf32',
  inspectorSize: 'clipself.inspector.size',
  inspectorColourMap: 'clipself.inspector.colourMap',
  inspectorCacheImages: 'clipself.inspector.cacheImages',
  inspectorIdleMinutes: 'clipself.inspector.idleMinutes',
  terminalAddToPath: 'clipself.terminal.addToPath',
} as const;

/** Full key of a training setting in VS Code. */
export function trainingSettingKey(setting: TunableSetting): string {
  // What computes, and how exactly, is a matter of the machine.
  return setting === 'engine' || setting === 'precision'
    ? `clipself.${setting}`
    : `clipself.training.${setting}`;
}
