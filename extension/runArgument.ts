import path from 'node:path';

/**
 * The run directory that a command's first argument names: a path, or an entry of the runs view. Null for anything
 * else, such as what menus of other views pass.
 */
export function directoryOfArgument(argument: unknown): string | null {
  if (typeof argument === 'string') return path.isAbsolute(argument) ? path.normalize(argument) : null;
  if (typeof argument !== 'object' || argument === null || !('directory' in argument)) return null;
  return directoryOfArgument(argument.directory);
}
