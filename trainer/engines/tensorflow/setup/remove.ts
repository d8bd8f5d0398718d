import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { installationFile } from '../installation.ts';
import { SetupError } from './runTool.ts';

/**
 * Removes an installation with all that is in its folder, and what a broken-off one left beside it.
 *
 * @throws SetupError when the folder holds something else.
 */
export async function removeTensorflow(folder: string): Promise<void> {
  const present = await stat(path.join(folder, installationFile)).catch(() => null);
  if (!present) throw new SetupError(`TensorFlow is not installed in ${folder}: nothing was removed`);
  try {
    // First: if the rest cannot go, it counts as not installed.
    await rm(path.join(folder, installationFile));
    await rm(folder, { recursive: true });
    await rm(`${folder}.partial`, { recursive: true, force: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SetupError(
      `${folder} cannot be removed whole: ${reason}. End programs that use it and delete it`,
    );
  }
}
