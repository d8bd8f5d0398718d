/** Microsoft's packager for extensions: checks the manifest and writes the VSIX. */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runNpm } from './installNatives.ts';
import type { Target } from './targets.ts';

/** A package of its own, so that the 250 packages of vsce are installed by those who package. */
const packagingFolder = fileURLToPath(new URL('.', import.meta.url));
const vsceFolder = path.join(packagingFolder, 'node_modules/@vscode/vsce');

async function versionIn(file: string, read: (manifest: Manifest) => string | undefined): Promise<string> {
  try {
    return read(JSON.parse(await readFile(file, 'utf8'))) ?? 'none';
  } catch {
    return 'none';
  }
}

interface Manifest {
  version?: string;
  dependencies?: Record<string, string>;
}

/** Does nothing where the pinned version is installed. */
async function installVsce(): Promise<void> {
  const pinned = await versionIn(
    path.join(packagingFolder, 'package.json'),
    manifest => manifest.dependencies?.['@vscode/vsce'],
  );
  const installed = await versionIn(path.join(vsceFolder, 'package.json'), manifest => manifest.version);
  if (installed === pinned) return;
  console.error(`installing @vscode/vsce ${pinned} under extension/packaging/node_modules`);
  await runNpm(['ci'], packagingFolder);
}

/**
 * @param stage folder that holds the extension.
 * @param file the VSIX to write.
 * @throws what vsce says when it refuses the extension.
 */
export async function writeVsix(stage: string, target: Target, file: string): Promise<void> {
  await installVsce();
  await promisify(execFile)(
    process.execPath,
    [
      path.join(vsceFolder, 'vsce'),
      ...['package', '--no-dependencies', '--allow-missing-repository', '--no-rewrite-relative-links'],
      ...['--target', target.name, '--out', file],
    ],
    { cwd: stage, maxBuffer: 16 * 1024 * 1024 },
  );
}
