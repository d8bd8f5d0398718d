import * as vscode from 'vscode';
import { isInside } from '../candidates.ts';
import { settingKeys, type TunableSettings, trainingSettingKey } from '../identifiers.ts';
import { type InspectorDefaults, SIZE_RANGE } from '../inspectorState.ts';
import { resolveRunsFolder } from '../runsFolder.ts';
import { checkSettings, isTunableSetting, settingRules } from '../trainingSettings.ts';

/**
 * The training settings as they stand in VS Code for a workspace folder.
 *
 * @throws Error naming the first one that cannot be used.
 */
export function readTrainingSettings(scope?: vscode.Uri): Partial<TunableSettings> {
  const configuration = vscode.workspace.getConfiguration(undefined, scope);
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(settingRules).filter(isTunableSetting)) {
    values[name] = configuration.get(trainingSettingKey(name)) ?? null;
  }
  return checkSettings(values);
}

export function opensPanelOnStart(): boolean {
  return vscode.workspace.getConfiguration().get(settingKeys.openPanelOnStart, true);
}

/** Bounds in package.json are hints that the editor of settings gives; here they hold. */
function boundedNumber(key: string, otherwise: number, minimum: number, maximum: number): number {
  const value: unknown = vscode.workspace.getConfiguration().get(key);
  if (typeof value !== 'number' || !Number.isFinite(value)) return otherwise;
  return Math.round(Math.min(maximum, Math.max(minimum, value)));
}

/** How an inspector panel begins where nothing is remembered. */
export function inspectorDefaults(): InspectorDefaults {
  const colourMap = vscode.workspace.getConfiguration().get(settingKeys.inspectorColourMap, 'viridis');
  const { minimum, maximum } = SIZE_RANGE;
  return { size: boundedNumber(settingKeys.inspectorSize, 448, minimum, maximum), colourMap };
}

/** How many images' maps stay on the disk, and how long the inspector service waits for the next request. */
export function inspectorServiceSettings(): { cacheImages: number; idleMinutes: number } {
  return {
    cacheImages: boundedNumber(settingKeys.inspectorCacheImages, 20, 1, 1000),
    idleMinutes: boundedNumber(settingKeys.inspectorIdleMinutes, 10, 1, 1440),
  };
}

/** `--engine` of what is no training. */
export function engineSetting(): string {
  return vscode.workspace.getConfiguration().get(trainingSettingKey('engine'), 'auto');
}

/** Sets the engine: where the setting is in force already, there it is changed; otherwise for this user on this machine. */
export async function useEngine(engine: string): Promise<void> {
  const configuration = vscode.workspace.getConfiguration();
  const key = trainingSettingKey('engine');
  const inWorkspace = configuration.inspect(key)?.workspaceValue !== undefined;
  await configuration.update(
    key,
    engine,
    inWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global,
  );
}

/** Whether TensorFlow may round the operands of products on NVIDIA cards to TensorFloat-32. */
export function allowsTf32(): boolean {
  return vscode.workspace.getConfiguration().get(settingKeys.tensorflowTf32) === true;
}

/** Whether terminals of this window get the command `clipself`. */
export function addsToTerminalPath(): boolean {
  return vscode.workspace.getConfiguration().get(settingKeys.terminalAddToPath, true);
}

/** Workspace folders on the disk of this machine. */
export function workspaceFolders(): string[] {
  const folders = vscode.workspace.workspaceFolders ?? [];
  return folders.filter(folder => folder.uri.scheme === 'file').map(folder => folder.uri.fsPath);
}

/** The folders in which runs of this workspace lie, one for each workspace folder. */
export function runsFolders(): string[] {
  const folders = workspaceFolders();
  return folders.length === 0 ? [runsFolderOf(undefined)] : folders.map(runsFolderOf);
}

/** The folder for a new run on these images: that of the workspace folder they lie in, else of the first one. */
export function runsFolderFor(images: string): string {
  const folders = workspaceFolders();
  return runsFolderOf(folders.find(folder => isInside(images, folder)) ?? folders[0]);
}

/** Where reports of evaluations go. */
export function evaluationsFolder(): string {
  const [folder] = workspaceFolders();
  const scope = folder === undefined ? undefined : vscode.Uri.file(folder);
  const setting = vscode.workspace.getConfiguration(undefined, scope).get(settingKeys.evaluationFolder, '');
  return resolveRunsFolder(setting.trim() || 'evaluations', folder);
}

function runsFolderOf(workspaceFolder: string | undefined): string {
  const scope = workspaceFolder === undefined ? undefined : vscode.Uri.file(workspaceFolder);
  const setting = vscode.workspace.getConfiguration(undefined, scope).get(settingKeys.runsFolder, '');
  return resolveRunsFolder(setting.trim(), workspaceFolder);
}
