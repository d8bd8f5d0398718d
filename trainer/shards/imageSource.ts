/** What `--images` stands for: a folder, COCO-style JSON, or tar shards. */

import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import { listImages } from '../images/imageFolder.ts';
import type { ImageList } from '../images/imageReader.ts';
import { type MemberStore, packMembers } from '../images/memberStore.ts';
import { rememberedIndex } from './indexCache.ts';
import type { ShardIndex } from './shardIndex.ts';
import { findShards, isShardPattern } from './shardPattern.ts';

export interface ImageSource extends ImageList {
  /** Null for plain files. */
  members: MemberStore | null;
  /** Folder that names in files of regions are relative to; of shards one that does not exist. */
  root: string;
  /** Each image as a path below `root`. Those of members of shards name no file. */
  paths: readonly string[];
  /** Damaged members, which are left out. */
  damage: readonly string[];
}

/**
 * Lists the images. Shards are read through, header by header, unless they are remembered.
 *
 * @throws FileError and plain errors with one clear line; also when there are no images.
 */
export async function openImageSource(images: string): Promise<ImageSource> {
  const literal = path.resolve(images);
  const status = await stat(literal).catch(() => null);
  // A folder may be called anything.
  if (!isShardPattern(images) || status?.isDirectory()) {
    const files = await listImages(literal);
    const root = status?.isDirectory() ? literal : path.dirname(literal);
    return { files, members: null, root, paths: files, damage: [] };
  }
  const indexes = await indexShards(await findShards(images));
  if (indexes.every(({ members }) => members.length === 0))
    throw new FileError(images, 'the shards hold no images', 'Members are taken by extensions such as .jpg');
  const root = path.resolve('/');
  return {
    files: indexes.flatMap(({ file, members }) => members.map(({ name }) => `${file}:${printable(name)}`)),
    members: packMembers(indexes),
    root,
    // A name that would leave the folder is stopped at it.
    paths: indexes.flatMap(({ members }) => members.map(({ name }) => path.join(root, path.join('/', name)))),
    damage: indexes.flatMap(({ damage }) => damage),
  };
}

/** Shards that are read at a time: on a network file system each header is a round trip. */
const atATime = 8;

async function indexShards(files: readonly string[]): Promise<ShardIndex[]> {
  const indexes: ShardIndex[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let place = next++; place < files.length; place = next++)
      indexes[place] = await rememberedIndex(files[place]!);
  };
  await Promise.all(Array.from({ length: Math.min(atATime, files.length) }, work));
  return indexes;
}

/** Names come from strangers: a line break would split a message, an escape steer the terminal. */
const printable = (name: string): string => name.replace(/\p{Cc}/gu, '·');
