/** Programs that play the tools of an installation, in a folder that stands alone on the PATH. */

import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** What a played program does, in the words of a POSIX shell; it is found by its name. */
export type PlayedTools = Readonly<Record<string, string>>;

/** What pip says on a machine without a network, shortened. */
export const offlinePip = `case "$*" in *--version*) echo pip 24.0;; *)
echo "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'" >&2
echo "ERROR: No matching distribution found for tensorflow-cpu" >&2; exit 1;; esac`;

export const offlineNpm = `echo "npm error code ENOTFOUND" >&2
echo "npm error network request to https://registry.example/ failed" >&2; exit 1`;

/** Makes the folder. The shell's own commands that the programs need are there as well. */
export async function playTools(folder: string, tools: PlayedTools): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const name of ['sleep', 'mkdir', 'cat']) await symlink(`/bin/${name}`, path.join(folder, name));
  for (const [name, script] of Object.entries(tools)) {
    await writeFile(path.join(folder, name), `#!/bin/sh\n${script}\n`);
    await chmod(path.join(folder, name), 0o755);
  }
  return folder;
}
