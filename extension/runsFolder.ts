import os from 'node:os';
import path from 'node:path';

/** Where runs go when no folder is open. */
const FALLBACK_FOLDER = 'clipself-runs';

/**
 * The folder in which runs lie, from the setting `clipself.runs.folder`: variables `${workspaceFolder}` and `${userHome}`
 * and a leading `~` are filled in, and a relative path counts from the workspace folder.
 *
 * @param workspaceFolder Absolute path; undefined when no folder is open.
 */
export function resolveRunsFolder(setting: string, workspaceFolder: string | undefined): string {
  const home = os.homedir();
  const fallback = path.join(home, FALLBACK_FOLDER);
  if (setting === '') return workspaceFolder === undefined ? fallback : path.join(workspaceFolder, 'runs');
  if (workspaceFolder === undefined && /\$\{workspaceFolder\}/.test(setting)) return fallback;
  const filledIn = setting
    .replace(/\$\{workspaceFolder\}/g, () => workspaceFolder ?? '')
    .replace(/\$\{userHome\}/g, () => home)
    .replace(/^~(?=$|[\\/])/, () => home);
  return path.resolve(workspaceFolder ?? fallback, filledIn);
}
