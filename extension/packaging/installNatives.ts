/** The native packages of another platform, installed by npm from the lock file of the clone. */

import { execFile } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { isThisMachine, type Target } from './targets.ts';

/**
 * @param clone folder of the repository.
 * @param scratch folder that npm may install into.
 * @returns a `node_modules` folder that holds the target's binaries.
 */
export async function modulesFor(target: Target, clone: string, scratch: string): Promise<string> {
  if (isThisMachine(target)) return path.join(clone, 'node_modules');
  await mkdir(scratch, { recursive: true });
  for (const name of ['package.json', 'package-lock.json', '.npmrc'])
    await copyFile(path.join(clone, name), path.join(scratch, name));
  const { platform, architecture } = target;
  await runNpm(
    ['ci', '--omit=dev', '--ignore-scripts', `--os=${platform}`, `--cpu=${architecture}`, '--libc=glibc'],
    scratch,
  );
  return path.join(scratch, 'node_modules');
}

/** @throws npm's own words when it fails. */
export async function runNpm(parameters: readonly string[], folder: string): Promise<void> {
  // On Windows npm is a script for the shell.
  await promisify(execFile)('npm', [...parameters, '--loglevel=error'], {
    cwd: folder,
    shell: process.platform === 'win32',
  });
}
