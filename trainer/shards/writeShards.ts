/** Packs images into tar shards that `--images` and WebDataset read. */

import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories, syncDirectory, writeFully } from '../checkpoints/atomicFile.ts';
import { FileError, naming, systemErrorCode } from '../checkpoints/fileError.ts';
import { readImageFile } from '../images/decode.ts';
import { ImageError } from '../images/imageError.ts';
import { keyedRandom } from '../random.ts';
import { maximumMemberBytes } from './shardIndex.ts';
import { blockBytes, formatHeader, paddedSize } from './tarHeaders.ts';

export interface ShardRequest {
  /** Folder that names in the shards are relative to. */
  root: string;
  files: readonly string[];
  /** Folder of the shards; it must not exist, or be empty. */
  out: string;
  /** Bytes that a shard takes at most, unless one image alone is larger. */
  sizeLimit: number;
  seed: number;
}

export interface WrittenShards {
  shards: number;
  images: number;
  bytes: number;
}

export interface ShardProgress {
  progress(done: number): void;
  warn(message: string): void;
  stopped(): boolean;
}

/**
 * Writes `0000.tar`, `0001.tar`, … of the images in an order shuffled with the seed: the same images give the same bytes. The
 * folder appears when all of it is written.
 *
 * @returns null when it was stopped; nothing is left then.
 * @throws FileError when `out` holds something, or the disk is full and the like.
 */
export async function writeShards(request: ShardRequest, tell: ShardProgress): Promise<WrittenShards | null> {
  const out = path.resolve(request.out);
  await requireFree(out);
  const temporary = path.join(path.dirname(out), `.${path.basename(out)}.tmp-${process.pid}`);
  return naming(out, 'write', async () => {
    try {
      await rm(temporary, { recursive: true, force: true });
      await makeDirectories(temporary);
      const written = await writeInto(temporary, request, tell);
      if (written === null) return null;
      if (written.images === 0)
        throw new FileError(request.root, 'none of its images can be read', 'Choose another folder');
      await syncDirectory(temporary);
      // Renaming a folder onto an empty one is not possible everywhere.
      await rm(out, { recursive: true, force: true });
      await rename(temporary, out);
      await syncDirectory(path.dirname(out));
      return written;
    } finally {
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    }
  });
}

async function requireFree(out: string): Promise<void> {
  const found = await naming(out, 'read', async () => {
    try {
      return await readdir(out);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw error;
    }
  });
  if (found.length > 0) throw new FileError(out, 'the folder is not empty', 'Choose another --out');
}

async function writeInto(
  folder: string,
  { root, files, sizeLimit, seed }: ShardRequest,
  tell: ShardProgress,
): Promise<WrittenShards | null> {
  const writer = new ShardWriter(folder, sizeLimit);
  try {
    for (const [done, file] of keyedRandom(seed, 'shard')
      .shuffle([...files])
      .entries()) {
      if (tell.stopped()) return null;
      tell.progress(done);
      const content = await contentOf(file, tell);
      if (content) await writer.add(path.relative(root, file).replaceAll(path.sep, '/'), content);
    }
    await writer.finish();
  } finally {
    await writer.close();
  }
  return writer.written;
}

async function contentOf(file: string, tell: ShardProgress): Promise<Buffer | null> {
  try {
    const content = await readImageFile(file);
    if (content.length <= maximumMemberBytes) return content;
    tell.warn(`left out ${file}: it is larger than ${maximumMemberBytes / 2 ** 20} MiB`);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    tell.warn(`left out ${error.message}`);
  }
  return null;
}

const endOfArchive = Buffer.alloc(2 * blockBytes);

class ShardWriter {
  readonly written: WrittenShards = { shards: 0, images: 0, bytes: 0 };
  readonly #folder: string;
  readonly #sizeLimit: number;
  #handle: FileHandle | null = null;
  #bytes = 0;

  constructor(folder: string, sizeLimit: number) {
    this.#folder = folder;
    this.#sizeLimit = sizeLimit;
  }

  async add(name: string, content: Buffer): Promise<void> {
    const header = formatHeader(name, content.length);
    const size = header.length + paddedSize(content.length);
    if (this.#bytes > 0 && this.#bytes + size + endOfArchive.length > this.#sizeLimit) await this.finish();
    if (!this.#handle) {
      const shard = `${String(this.written.shards++).padStart(4, '0')}.tar`;
      this.#handle = await open(path.join(this.#folder, shard), 'wx');
    }
    const padding = Buffer.alloc(paddedSize(content.length) - content.length);
    await writeFully(this.#handle, Buffer.concat([header, content, padding]));
    this.#bytes += size;
    this.written.images++;
  }

  /** Ends the shard that is being written. */
  async finish(): Promise<void> {
    if (!this.#handle) return;
    await writeFully(this.#handle, endOfArchive);
    await this.#handle.sync();
    this.written.bytes += this.#bytes + endOfArchive.length;
    this.#bytes = 0;
    await this.close();
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close();
  }
}
