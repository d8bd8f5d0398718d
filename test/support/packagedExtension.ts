/** The VSIX of this machine's platform, made as users make it. */

import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { openPromise } from 'yauzl';
import { targets } from '../../extension/packaging/targets.ts';
import { repositoryRoot } from './browserPrerequisites.ts';

/** Why no VSIX can be made for this machine; null where one can. */
export function packagingProblem(): string | null {
  const here = `${process.platform}-${process.arch}`;
  return targets.some(({ name }) => name === here) ? null : `there is no package for ${here}`;
}

/** Writes the VSIX. The first time npm installs the packager. */
export async function packageExtension(vsix: string): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import=tsx', 'extension/packaging/package.ts', '--out', vsix],
    { cwd: repositoryRoot },
  );
  return stdout;
}

/** Unpacks the files of the extension as VS Code does. */
export async function unpackVsix(vsix: string, folder: string): Promise<void> {
  const archive = await openPromise(vsix);
  for await (const entry of archive.eachEntry()) {
    if (!entry.fileName.startsWith('extension/')) continue;
    const file = path.join(folder, entry.fileName.slice('extension/'.length));
    await mkdir(path.dirname(file), { recursive: true });
    await pipeline(await archive.openReadStreamPromise(entry), createWriteStream(file));
  }
}
