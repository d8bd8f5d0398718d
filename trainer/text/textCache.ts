import os from 'node:os';
import path from 'node:path';

/** Class embeddings of this many models, and bytes of all of them, stay; those used last. */
export const textCacheBounds = { images: 32, bytes: 256 * 2 ** 20 };

/** Where the command line keeps class embeddings: the system's folder for what may be lost. */
export function textCacheFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const own = environment.CLIPSELF_CACHE;
  if (own) return path.resolve(own, 'text');
  const home = os.homedir();
  if (process.platform === 'win32')
    return path.join(environment.LOCALAPPDATA ?? path.join(home, 'AppData', 'Local'), 'clipself', 'text');
  if (process.platform === 'darwin') return path.join(home, 'Library', 'Caches', 'clipself', 'text');
  return path.join(environment.XDG_CACHE_HOME || path.join(home, '.cache'), 'clipself', 'text');
}
