import os from 'node:os';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the command line keeps what may be lost: `CLIPSELF_CACHE`, or a folder in the system's own place for such. */
export function cacheFolder(name: string, environment: Environment = process.env): string {
  const own = environment.CLIPSELF_CACHE;
  if (own) return path.resolve(own, name);
  const home = os.homedir();
  if (process.platform === 'win32')
    return path.join(environment.LOCALAPPDATA ?? path.join(home, 'AppData', 'Local'), 'clipself', name);
  if (process.platform === 'darwin') return path.join(home, 'Library', 'Caches', 'clipself', name);
  return path.join(environment.XDG_CACHE_HOME || path.join(home, '.cache'), 'clipself', name);
}
