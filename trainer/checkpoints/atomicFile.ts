import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { naming, systemErrorCode } from './fileError.ts';

/**
 * Creates a folder and those above it where they are missing. Node's own recursive mode reports a read-only file
 * system as a missing folder, which would send the user looking for the wrong thing.
 *
 * @throws The system's error, ENOTDIR when a file is in the way.
 */
export async function makeDirectories(directory: string): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    const parent = path.dirname(directory);
    if (parent !== directory) await makeDirectories(parent);
  }
  try {
    await mkdir(directory);
  } catch (error) {
    // Somebody else may have created it meanwhile.
    if (systemErrorCode(error) !== 'EEXIST' || !(await stat(directory)).isDirectory()) throw error;
  }
}

/** Writes are cut into pieces: one system call moves at most 2 GiB. */
const pieceBytes = 1 << 26;

/** Writes all of `bytes` at the current position of `handle`. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.byteLength) {
    const length = Math.min(pieceBytes, bytes.byteLength - offset);
    offset += (await handle.write(bytes, offset, length, null)).bytesWritten;
  }
}

/**
 * Makes the names inside a folder durable. Windows cannot open folders and journals names by itself; some
 * network file systems refuse with EINVAL: both are as durable as they can be.
 */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP'].includes(systemErrorCode(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}

/** Flushes the content of a file to the disk. */
export async function syncFile(file: string): Promise<void> {
  // Windows flushes only through a handle that may write.
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A name in the same folder that nobody else uses. Hidden, so that listings do not take it for a result. */
export function temporaryName(file: string): string {
  return path.join(
    path.dirname(file),
    `.${path.basename(file)}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`,
  );
}

/**
 * Creates or replaces `file` so that readers, and a machine that loses power, see the old content or the new,
 * never a part of it: temporary name in the same folder, flush, rename, flush the folder.
 *
 * @param durable False leaves out the flushing, for files that may be lost with the power but not be torn.
 * @throws FileError when the disk is full, the folder is read-only and the like; the old content stays.
 */
export async function writeAtomically(
  file: string,
  write: (handle: FileHandle) => Promise<void>,
  { durable = true }: { durable?: boolean } = {},
): Promise<void> {
  const temporary = temporaryName(file);
  await naming(file, 'write', async () => {
    try {
      const handle = await open(temporary, 'wx');
      try {
        await write(handle);
        if (durable) await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
    } catch (error) {
      // The reason matters, not that the leftover could not be removed either.
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    if (durable) await syncDirectory(path.dirname(file));
  });
}

/** Writes text atomically (see `writeAtomically`). */
export const writeText = (file: string, text: string): Promise<void> =>
  writeAtomically(file, handle => writeFully(handle, Buffer.from(text)));
