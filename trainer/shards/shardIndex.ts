/** What lies where in a tar shard: its headers are read once, images later by their position. */

import { type FileHandle, open } from 'node:fs/promises';
import { extname } from 'node:path';
import { asFileError, FileError } from '../checkpoints/fileError.ts';
import { imageExtensions } from '../images/imageFolder.ts';
import { blockBytes, type MemberExtension, paddedSize, parseExtension, parseHeader } from './tarHeaders.ts';

/** Larger images are left out: a member is read whole. */
export const maximumMemberBytes = 256 * 2 ** 20;
const maximumExtensionBytes = 2 ** 20;
const maximumMembers = 10_000_000;

export interface ShardMember {
  /** Name in the archive. It never becomes a path. */
  name: string;
  /** Position of the content in the shard, bytes. */
  offset: number;
  size: number;
}

export interface ShardIndex {
  file: string;
  /** Images in the order of the shard. */
  members: ShardMember[];
  /** Members that cannot be used, one sentence each, with their offset. */
  damage: string[];
}

/**
 * Reads the headers of a shard. A member whose header is damaged is left out: the next header is looked for block by
 * block.
 *
 * @throws FileError when the shard cannot be read, is compressed, is no tar archive or ends too early.
 */
export async function indexShard(file: string): Promise<ShardIndex> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    throw asFileError(error, file, 'read');
  }
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw new FileError(file, 'it is not a file', 'Name .tar files');
    return await new ShardWalk(file, handle, status.size).walk();
  } catch (error) {
    throw asFileError(error, file, 'read');
  } finally {
    await handle.close();
  }
}

/** One pass over the headers of a shard. */
class ShardWalk {
  readonly #file: string;
  readonly #size: number;
  readonly #window: ReadWindow;
  readonly #index: ShardIndex;
  #extension: MemberExtension = {};

  constructor(file: string, handle: FileHandle, size: number) {
    this.#file = file;
    this.#size = size;
    this.#window = new ReadWindow(handle, size);
    this.#index = { file, members: [], damage: [] };
  }

  async walk(): Promise<ShardIndex> {
    let offset = 0;
    let seen = 0;
    while (offset < this.#size) {
      const block = await this.#window.read(offset, blockBytes);
      if (offset === 0) this.#refuseCompressed(block);
      if (block.length < blockBytes) throw this.#truncated(`the header of a member`, offset);
      const header = parseHeader(block, this.#extension);
      if (header === 'end') offset += blockBytes;
      else if (header === null) {
        if (seen === 0) throw new FileError(this.#file, 'it is not a tar archive', 'Name .tar files');
        offset = await this.#nextHeader(offset);
      } else {
        if (++seen > maximumMembers)
          throw new FileError(this.#file, `it has more than ${maximumMembers} members`, 'Split the shard');
        const content = offset + blockBytes;
        if (header.size > this.#size - content) throw this.#truncated(`'${header.name}'`, offset);
        await this.#take(header, content);
        // The padding of the last member may be missing.
        offset = content + paddedSize(header.size);
      }
    }
    if (seen === 0) throw new FileError(this.#file, 'it has no members', 'Name .tar files with images');
    return this.#index;
  }

  async #take(header: Exclude<ReturnType<typeof parseHeader>, 'end' | null>, offset: number): Promise<void> {
    const { kind, name, size } = header;
    if (kind === 'name' || kind === 'pax') {
      if (size > maximumExtensionBytes)
        this.#damaged(`an extension header of ${size} bytes is passed over`, offset);
      else {
        const content = await this.#window.read(offset, size);
        this.#extension = { ...this.#extension, ...parseExtension(kind, content) };
      }
      return;
    }
    if (kind === 'globalPax') return;
    this.#extension = {};
    if (kind !== 'file' || !imageExtensions.has(extname(name).toLowerCase())) return;
    // macOS writes attributes of a file as a member of their own.
    if (/(^|\/)\._[^/]*$/.test(name)) return;
    if (size === 0) this.#damaged(`'${name}' is empty`, offset);
    else if (size > maximumMemberBytes) this.#damaged(`'${name}' has ${size} bytes, too many`, offset);
    else this.#index.members.push({ name, offset, size });
  }

  /** Position of the first header after a damaged one, or the end of the shard. */
  async #nextHeader(damagedAt: number): Promise<number> {
    this.#extension = {};
    let offset = damagedAt + blockBytes;
    for (; offset < this.#size; offset += blockBytes) {
      const block = await this.#window.read(offset, blockBytes, scanBytes);
      if (block.length < blockBytes) break;
      // Any block of zeros would pass for an end, and content may hold many.
      if (block.toString('latin1', 257, 262) !== 'ustar') continue;
      const header = parseHeader(block);
      if (header !== null && header !== 'end') break;
    }
    this.#damaged('the header of a member is damaged', damagedAt);
    return offset;
  }

  #damaged(what: string, offset: number): void {
    this.#index.damage.push(`${this.#file} at byte ${offset}: ${what}`);
  }

  #truncated(what: string, offset: number): FileError {
    return new FileError(
      this.#file,
      `the shard is truncated: it ends after ${this.#size} bytes, within ${what} that begins at byte ${offset}`,
      'Fetch the shard again, or leave it out of --images',
    );
  }

  #refuseCompressed(block: Buffer): void {
    const starts = (...signature: number[]) => signature.every((byte, at) => block[at] === byte);
    if (starts(0x1f, 0x8b) || starts(0x28, 0xb5, 0x2f, 0xfd) || starts(0x42, 0x5a, 0x68))
      throw compressedError(this.#file);
  }
}

export const compressedError = (file: string): FileError =>
  new FileError(
    file,
    'it is compressed, so that its images cannot be read by their position',
    'Decompress it (gunzip): JPEGs gain nothing from compression',
  );

/** A header is often behind small members: several come with one read. */
const windowBytes = 4096;
const scanBytes = 2 ** 20;

/** Reads pieces of a file, in rising order and from one buffer where they lie together. */
class ReadWindow {
  readonly #handle: FileHandle;
  readonly #size: number;
  #buffer = Buffer.alloc(0);
  #start = 0;

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.#size = size;
  }

  /** @returns fewer bytes at the end of the file. Valid until the next call. */
  async read(offset: number, length: number, ahead = windowBytes): Promise<Buffer> {
    const end = Math.min(this.#size, offset + length);
    if (offset < this.#start || end > this.#start + this.#buffer.length) {
      const wanted = Math.min(this.#size - offset, Math.max(length, ahead));
      const buffer = Buffer.alloc(wanted);
      let read = 0;
      while (read < wanted) {
        const { bytesRead } = await this.#handle.read(buffer, read, wanted - read, offset + read);
        if (bytesRead === 0) break;
        read += bytesRead;
      }
      this.#buffer = buffer.subarray(0, read);
      this.#start = offset;
    }
    return this.#buffer.subarray(offset - this.#start, Math.max(0, end - this.#start));
  }
}
