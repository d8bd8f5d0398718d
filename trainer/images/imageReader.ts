/** Reads the bytes of images: files, or members of shards. */

import { type FileHandle, open } from 'node:fs/promises';
import { readImageFile } from './decode.ts';
import { ImageError } from './imageError.ts';
import { type MemberPlace, type MemberStore, memberPlace } from './memberStore.ts';
import { type ShardOrder, shardOrder } from './shardOrder.ts';

/** Images by their position in a list. */
export interface ImageList {
  /** Paths; of members of shards `<path of the shard>:<name in it>`, which nothing but messages uses. */
  files: readonly string[];
  /** Where the members of shards lie; null for plain files. */
  members?: MemberStore | null;
}

/**
 * The encoded bytes of one image.
 *
 * @throws ImageError
 */
export async function readImage({ files, members }: ImageList, image: number): Promise<Buffer> {
  const file = files[image]!;
  return members ? readMember(memberPlace(members, image), file) : readImageFile(file);
}

/**
 * The bytes of one member of a shard.
 *
 * @param name What messages call it.
 * @throws ImageError
 */
export async function readMember(place: MemberPlace, name: string): Promise<Buffer> {
  const shard = new OpenShard();
  try {
    return await shard.read(place, name);
  } finally {
    await shard.close();
  }
}

/** The shard that is being read. */
class OpenShard {
  #file = '';
  #handle: FileHandle | null = null;

  /** @throws ImageError */
  async read({ shard, offset, size }: MemberPlace, name: string): Promise<Buffer> {
    try {
      if (shard !== this.#file) {
        await this.close();
        this.#handle = await open(shard, 'r');
        this.#file = shard;
      }
      return await readFully(this.#handle!, offset, size, name);
    } catch (error) {
      if (error instanceof ImageError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      throw new ImageError(name, `the shard cannot be read at byte ${offset} (${code ?? message})`);
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    this.#file = '';
    await handle?.close();
  }
}

async function readFully(handle: FileHandle, offset: number, size: number, name: string): Promise<Buffer> {
  const content = Buffer.alloc(size);
  let read = 0;
  while (read < size) {
    const { bytesRead } = await handle.read(content, read, size - read, offset + read);
    if (bytesRead === 0)
      throw new ImageError(
        name,
        `the shard has become shorter: it ends at byte ${offset + read}, within the image`,
      );
    read += bytesRead;
  }
  return content;
}

/** Reads the images of shards from front to back and keeps those whose turn comes later, as the epoch's order plans. */
export class ShardStream {
  readonly #list: Required<ImageList> & { members: MemberStore };
  readonly #seed: number;
  readonly #wants: (epoch: number, position: number) => boolean;
  readonly #shard = new OpenShard();
  readonly #kept = new Map<number, Buffer | ImageError>();
  #plan: (ShardOrder & { epoch: number; turns: Uint32Array }) | null = null;
  #next = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param wants Whether a position of an epoch is this reader's to take; the images of others are not read. */
  constructor(
    files: readonly string[],
    members: MemberStore,
    seed: number,
    wants: (epoch: number, position: number) => boolean,
  ) {
    this.#list = { files, members };
    this.#seed = seed;
    this.#wants = wants;
  }

  /** Images and bytes that wait for their turn. */
  get kept(): { images: number; bytes: number } {
    let bytes = 0;
    for (const content of this.#kept.values()) if (Buffer.isBuffer(content)) bytes += content.length;
    return { images: this.#kept.size, bytes };
  }

  /**
   * The image at a position of an epoch. Any may be asked for; in rising order they come from one pass over the shards.
   *
   * @throws ImageError
   */
  take(epoch: number, position: number): Promise<Buffer> {
    const result = this.#turn.then(() => this.#take(epoch, position));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#kept.clear();
    this.#plan = null;
    await this.#shard.close();
  }

  async #take(epoch: number, position: number): Promise<Buffer> {
    const { read, train, turns } = this.#planOf(epoch);
    const image = train[position]!;
    // After a start in the middle of an epoch, what was read before the buffer at this position is behind.
    while (!this.#kept.has(image) && this.#next < read.length) {
      const other = read[this.#next++]!;
      const isDue = turns[other]! >= position && (other === image || this.#wants(epoch, turns[other]!));
      if (isDue) this.#kept.set(other, await this.#read(other));
    }
    // One that was passed over, such as a position asked for again.
    const content = this.#kept.get(image) ?? (await this.#read(image));
    this.#kept.delete(image);
    if (content instanceof ImageError) throw content;
    return content;
  }

  /** A problem counts when the image is asked for. */
  async #read(image: number): Promise<Buffer | ImageError> {
    const { files, members } = this.#list;
    try {
      return await this.#shard.read(memberPlace(members, image), files[image]!);
    } catch (error) {
      if (error instanceof ImageError) return error;
      throw error;
    }
  }

  #planOf(epoch: number): ShardOrder & { turns: Uint32Array } {
    if (this.#plan?.epoch === epoch) return this.#plan;
    const order = shardOrder(this.#seed, epoch, this.#list.members);
    const turns = new Uint32Array(order.train.length);
    for (const [position, image] of order.train.entries()) turns[image] = position;
    this.#kept.clear();
    this.#next = 0;
    this.#plan = { ...order, epoch, turns };
    return this.#plan;
  }
}
