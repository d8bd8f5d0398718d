import os from 'node:os';
import path from 'node:path';

/** A folder of the user's data that belongs to this program, as each system has it. */
export function dataFolder(
  name: string,
  environment: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = os.homedir(),
): string {
  if (platform === 'win32')
    return path.join(environment.LOCALAPPDATA || path.join(home, 'AppData', 'Local'), 'clipself', name);
  if (platform === 'darwin') return path.join(home, 'Library', 'Application Support', 'clipself', name);
  const { XDG_DATA_HOME: data } = environment;
  // The specification asks for relative paths to be ignored.
  const base = data && path.isAbsolute(data) ? data : path.join(home, '.local', 'share');
  return path.join(base, 'clipself', name);
}
