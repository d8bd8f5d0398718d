/** A folder for the files of one test, removed with everything in it. */

import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryFolder {
  path: string;
  /** Absolute path of a file in the folder. */
  file(name: string): string;
  remove(): Promise<void>;
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  // The real path, because the system's temporary folder may be a symbolic link.
  const path = await realpath(await mkdtemp(join(tmpdir(), 'clipself-test-')));
  return {
    path,
    file: name => join(path, name),
    remove: () => rm(path, { recursive: true, force: true }),
  };
}
