import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { FileError, naming } from '../checkpoints/fileError.ts';

/** Unix keeps socket paths in about 100 bytes, macOS in 104 and Linux in 108. */
const longestSocketPath = 100;

function socketFolder(root: string): string {
  return path.join(root, `clipself-${process.getuid?.() ?? 'user'}`);
}

/**
 * Where the trainer `pid` of the run in `directory` listens: a Unix socket in a folder of the user's own under the
 * temporary folder, or a named pipe on Windows. Creates nothing.
 */
export function controlPipePath(directory: string, pid: number = process.pid): string {
  const hash = createHash('sha256').update(path.resolve(directory)).digest('hex').slice(0, 12);
  if (process.platform === 'win32') return `\\\\.\\pipe\\clipself-${hash}-${pid}`;
  const name = `${hash}-${pid}.sock`;
  const usual = path.join(socketFolder(os.tmpdir()), name);
  return Buffer.byteLength(usual) < longestSocketPath ? usual : path.join(socketFolder('/tmp'), name);
}

/**
 * Creates the folder of a control pipe for this user alone.
 *
 * @throws FileError when another user has put something in its place.
 */
export async function preparePipeFolder(pipe: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = path.dirname(pipe);
  await naming(folder, 'write', async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const found = await lstat(folder);
    if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
      throw new FileError(
        folder,
        "it is not this user's private folder (mode 0700)",
        'Remove it and start again',
      );
    }
  });
}

const socketPattern = /^([0-9a-f]{12})-\d+\.sock$/;

/**
 * Removes the sockets that trainers of the same run left at `pipe`'s place and beside it when they were killed. Only
 * the trainer that holds the run may call it: then all the others are dead.
 */
export async function removeDeadPipes(pipe: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = path.dirname(pipe);
  const run = socketPattern.exec(path.basename(pipe))?.[1];
  await naming(folder, 'write', async () => {
    for (const name of await readdir(folder)) {
      const file = path.join(folder, name);
      const ofThisRun = run !== undefined && socketPattern.exec(name)?.[1] === run;
      if (file === pipe || ofThisRun) await rm(file, { force: true });
    }
  });
}
