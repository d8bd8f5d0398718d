/** What was found in a shard, remembered: on a network file system reading each header again takes minutes. */
import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder } from '../cacheFolder.ts';
import { makeDirectories, writeAtomically, writeFully } from '../checkpoints/atomicFile.ts';
import { isJsonObject, readJson } from '../checkpoints/jsonFile.ts';
import { indexShard, maximumMemberBytes, type ShardIndex, type ShardMember } from './shardIndex.ts';

/** Shards that are remembered at most; those that were read longest ago are forgotten. */
const mostShards = 4096;
const mostBytes = 256 * 2 ** 20;

/** What changes when a shard is written anew. */
async function identityOf(file: string): Promise<string> {
  const { size, mtimeNs, ctimeNs, ino } = await stat(file, { bigint: true });
  return [size, mtimeNs, ctimeNs, ino].join(' ');
}

/**
 * What lies where in a shard, from memory where the file has not changed since.
 *
 * @param folder Where it is remembered; a folder that cannot be used costs time alone.
 * @throws FileError as `indexShard` does.
 */
export async function rememberedIndex(file: string, folder = cacheFolder('shards')): Promise<ShardIndex> {
  const absolute = path.resolve(file);
  const identity = await identityOf(absolute).catch(() => null);
  if (identity === null) return indexShard(file);
  const name = path.join(folder, `${createHash('sha256').update(absolute).digest('hex').slice(0, 32)}.json`);
  const known = await readKnown(name, absolute, identity);
  if (known !== null) return { file, ...known };
  const { members, damage } = await indexShard(file);
  // Written to meanwhile, it is read again the next time.
  if ((await identityOf(absolute).catch(() => null)) === identity) {
    const content = { schema: 1, file: absolute, identity, damage, members: members.map(packed) };
    await remember(folder, name, content).catch(() => undefined);
  }
  return { file, members, damage };
}

const packed = ({ name, offset, size }: ShardMember) => [name, offset, size] as const;

async function remember(folder: string, name: string, content: unknown): Promise<void> {
  await makeDirectories(folder);
  const bytes = Buffer.from(JSON.stringify(content));
  await writeAtomically(name, handle => writeFully(handle, bytes), { durable: false });
  const names = (await readdir(folder)).filter(each => each.endsWith('.json'));
  if (names.length <= mostShards) return;
  const times = await Promise.all(
    names.map(async each => ({ each, time: (await stat(path.join(folder, each))).mtimeMs })),
  );
  times.sort((a, b) => a.time - b.time);
  // Some more than are too many, so that this is not done for every shard.
  for (const { each } of times.slice(0, names.length - mostShards + mostShards / 8))
    await rm(path.join(folder, each), { force: true });
}

async function readKnown(
  name: string,
  file: string,
  identity: string,
): Promise<Omit<ShardIndex, 'file'> | null> {
  const content = await readJson(name, mostBytes).catch(() => null);
  if (!isJsonObject(content) || content.schema !== 1) return null;
  if (content.file !== file || content.identity !== identity) return null;
  const { members, damage } = content;
  if (!Array.isArray(damage) || !damage.every(each => typeof each === 'string')) return null;
  if (!Array.isArray(members)) return null;
  const [bytes] = identity.split(' ').map(Number);
  const unpacked = members.map(member => memberOf(member, bytes!));
  return unpacked.includes(null) ? null : { members: unpacked as ShardMember[], damage };
}

/** Null for what `indexShard` would not have found. */
function memberOf(value: unknown, bytes: number): ShardMember | null {
  if (!Array.isArray(value) || value.length !== 3) return null;
  const [name, offset, size]: unknown[] = value;
  if (typeof name !== 'string' || !Number.isSafeInteger(offset) || !Number.isSafeInteger(size)) return null;
  const [from, length] = [offset as number, size as number];
  const fits = from >= 0 && length > 0 && length <= maximumMemberBytes && from + length <= bytes;
  return fits ? { name, offset: from, size: length } : null;
}
