/**
 * The order in which an epoch takes images from shards: shards shuffled, each read from its first image to its last,
 * through a buffer from which images are drawn at random. The buffer is bounded in images and bytes. All of it follows
 * from seed, epoch and index, so that a run resumes at any step, on any number of ranks, without a saved buffer.
 */

import { keyedRandom } from '../random.ts';
import type { MemberStore } from './memberStore.ts';

interface ShuffleBuffer {
  images: number;
  bytes: number;
}

const shuffleBuffer: ShuffleBuffer = { images: 4096, bytes: 256 * 2 ** 20 };

export interface ShardOrder {
  /** Images in the order in which they are read. */
  read: Uint32Array;
  /** Images in the order in which they are trained on. */
  train: Uint32Array;
}

/** Reading order and training order of an epoch. An image is trained on when at most a buffer has been read beyond it. */
export function shardOrder(
  seed: number,
  epoch: number,
  members: MemberStore,
  buffer: ShuffleBuffer = shuffleBuffer,
): ShardOrder {
  const read = readOrder(seed, epoch, members);
  const train = new Uint32Array(read.length);
  const random = keyedRandom(seed, 'shard buffer', epoch);
  const waiting: number[] = [];
  let [bytes, next] = [0, 0];
  for (let place = 0; place < train.length; place++) {
    while (next < read.length && (waiting.length === 0 || fits(waiting.length, bytes, buffer))) {
      bytes += members.sizes[read[next]!]!;
      waiting.push(read[next++]!);
    }
    const drawn = random.uint(waiting.length);
    const image = waiting[drawn]!;
    waiting[drawn] = waiting.at(-1)!;
    waiting.pop();
    bytes -= members.sizes[image]!;
    train[place] = image;
  }
  return { read, train };
}

const fits = (images: number, bytes: number, buffer: ShuffleBuffer): boolean =>
  images < buffer.images && bytes < buffer.bytes;

/** Shards in a random order, the images of each in that of the shard. */
function readOrder(seed: number, epoch: number, { shards, shardOf }: MemberStore): Uint32Array {
  const firsts = new Uint32Array(shards.length + 1);
  for (const shard of shardOf) firsts[shard + 1]!++;
  for (let shard = 0; shard < shards.length; shard++) firsts[shard + 1]! += firsts[shard]!;
  const order = keyedRandom(seed, 'shards', epoch).shuffle([...shards.keys()]);
  const read = new Uint32Array(shardOf.length);
  let place = 0;
  for (const shard of order)
    for (let image = firsts[shard]!; image < firsts[shard + 1]!; image++) read[place++] = image;
  return read;
}
