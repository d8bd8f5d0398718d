/** Where images lie that are members of tar shards: packed into memory that threads share, in the order of an image list. */

export interface MemberStore {
  /** Absolute paths of the shards. */
  shards: readonly string[];
  /** [images] position of each image's shard; rises along the list. */
  shardOf: Uint32Array;
  /** [images] first byte of the image in its shard; rises within a shard. */
  offsets: Float64Array;
  /** [images] bytes. */
  sizes: Uint32Array;
}

/** One image of a store. */
export interface MemberPlace {
  shard: string;
  offset: number;
  size: number;
}

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

/** Packs the members of shards, one list of them for each. */
export function packMembers(
  indexes: readonly { file: string; members: readonly { offset: number; size: number }[] }[],
): MemberStore {
  const count = indexes.reduce((sum, { members }) => sum + members.length, 0);
  const store = emptyStore(
    indexes.map(({ file }) => file),
    count,
  );
  let image = 0;
  for (const [shard, { members }] of indexes.entries()) {
    for (const { offset, size } of members) {
      store.shardOf[image] = shard;
      store.offsets[image] = offset;
      store.sizes[image++] = size;
    }
  }
  return store;
}

function emptyStore(shards: readonly string[], count: number): MemberStore {
  return {
    shards,
    shardOf: new Uint32Array(shared(count * 4)),
    offsets: new Float64Array(shared(count * 8)),
    sizes: new Uint32Array(shared(count * 4)),
  };
}

/** Some of the images. */
export function selectMembers(store: MemberStore, images: readonly number[]): MemberStore {
  const selected = emptyStore(store.shards, images.length);
  for (const [place, image] of images.entries()) {
    selected.shardOf[place] = store.shardOf[image]!;
    selected.offsets[place] = store.offsets[image]!;
    selected.sizes[place] = store.sizes[image]!;
  }
  return selected;
}

export const memberPlace = (store: MemberStore, image: number): MemberPlace => ({
  shard: store.shards[store.shardOf[image]!]!,
  offset: store.offsets[image]!,
  size: store.sizes[image]!,
});
