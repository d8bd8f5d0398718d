import { open, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { syncDirectory, writeFully } from '../checkpoints/atomicFile.ts';
import { asFileError, FileError, naming, systemErrorCode } from '../checkpoints/fileError.ts';
import { hashFile } from '../checkpoints/modelFiles.ts';
import { TransferMeter, type TransferProgress } from '../transferMeter.ts';
import type { HubFile, HubRepository } from './hubClient.ts';
import { HubError } from './hubError.ts';

export interface DownloadOptions {
  /** Told at most a few times a second, and at the end. */
  progress?: (progress: TransferProgress) => void;
  /** Told that the connection broke off and is made again. */
  retrying?: (reason: string) => void;
  signal?: AbortSignal;
  /** Milliseconds before the first new try; they double. */
  firstDelay?: number;
}

/** Tries that bring nothing, one after the other, before it is given up. */
const mostFruitlessTries = 4;

/** Name of what is there so far: hidden, and of this content alone, so that another is not continued with it. */
export function partialName(target: string, { sha256 }: Pick<HubFile, 'sha256'>): string {
  return path.join(path.dirname(target), `.${path.basename(target)}.${sha256.slice(0, 16)}.part`);
}

/**
 * Fetches a file of the hub. What was received stays on the disk when the connection breaks off, the user cancels or the
 * disk is full, and the next call goes on from there; the content is compared with the hub's SHA-256 before it gets
 * its name.
 *
 * @throws HubError, FileError, or what the signal aborts with.
 */
export async function downloadFile(
  repository: HubRepository,
  file: HubFile,
  target: string,
  options: DownloadOptions = {},
): Promise<void> {
  const partial = partialName(target, file);
  const { firstDelay = 1000, retrying, signal } = options;
  let wait = firstDelay;
  for (let fruitless = 0; ; ) {
    const before = await sizeOf(partial);
    try {
      await receive(repository, file, partial, options);
      break;
    } catch (error) {
      if (!(error instanceof HubError) || error.kind === 'refused') throw error;
      const gained = (await sizeOf(partial)) > before;
      fruitless = gained ? 0 : fruitless + 1;
      // Without any answer at all, trying again at once is waiting for nothing.
      if (fruitless >= mostFruitlessTries || (error.kind === 'offline' && before === 0)) throw error;
      wait = gained ? firstDelay : wait * 2;
      retrying?.(error.message);
      await delay(wait, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
    }
  }
  await verify(file, partial);
  await naming(target, 'write', async () => {
    await rename(partial, target);
    await syncDirectory(path.dirname(target));
  });
}

/** Adds what is missing to the partial file and flushes it. */
async function receive(
  repository: HubRepository,
  file: HubFile,
  partial: string,
  { progress, signal }: DownloadOptions,
): Promise<void> {
  await naming(partial, 'write', async () => {
    let received = await sizeOf(partial);
    if (received > file.bytes) {
      await rm(partial);
      received = 0;
    }
    await checkSpace(partial, file.bytes - received);
    const handle = await open(partial, 'a');
    try {
      const meter = new TransferMeter(file.bytes, received, progress);
      if (received < file.bytes)
        for await (const piece of repository.read(file, received)) {
          signal?.throwIfAborted();
          received += piece.length;
          if (received > file.bytes)
            throw new HubError('refused', `${repository.address}: the server sends more than it announced`);
          await writeFully(handle, piece);
          meter.show(received);
        }
      if (received < file.bytes)
        throw new HubError('interrupted', `${repository.address}: the connection broke off`);
      meter.show(received, true);
    } finally {
      await handle.sync();
      await handle.close();
    }
  });
}

/** Keeps what does not agree under another name: it was long to load, and whoever wants to know can look at it. */
async function verify(file: HubFile, partial: string): Promise<void> {
  const actual = await hashFile(partial);
  if (actual === file.sha256) return;
  const kept = partial.replace(/\.part$/, '.mismatch');
  await naming(kept, 'write', () => rename(partial, kept));
  throw new FileError(
    kept,
    `its SHA-256 is ${actual}, but the hub says ${file.sha256}: it was damaged or exchanged on the way`,
    'It is kept under this name and not used: remove it, and run the same command again to load it anew',
  );
}

async function checkSpace(partial: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(path.dirname(partial));
  const free = bavail * bsize;
  if (needed <= free) return;
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  throw new FileError(
    path.dirname(partial),
    `the disk has ${mebibytes(free)} left and ${mebibytes(needed)} are needed`,
    'Free some space or choose another folder with --out',
  );
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return 0;
    throw asFileError(error, file, 'read');
  }
}
