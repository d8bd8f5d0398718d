/** Names of shards: `a/{0000..0117}.tar`, `a/*.tar`, several by comma. */

import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { expand } from 'brace-expansion';
import { FileError } from '../checkpoints/fileError.ts';
import { compressedError } from './shardIndex.ts';

const maximumShards = 100_000;

/** The patterns of a list; commas within braces separate alternatives, not patterns. */
export function splitPatterns(text: string): string[] {
  const patterns: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at <= text.length; at++) {
    const character = text[at];
    if (character === '{') depth++;
    if (character === '}') depth--;
    if (at < text.length && (character !== ',' || depth > 0)) continue;
    patterns.push(text.slice(start, at).trim());
    start = at + 1;
  }
  return patterns.filter(pattern => pattern !== '');
}

const compressed = /\.(tar\.(gz|bz2|xz|zst)|tgz|tbz2?|txz)$/i;

/** Whether an `--images` means shards: every name ends in `.tar`, or in an ending of compressed archives. */
export function isShardPattern(images: string): boolean {
  const patterns = splitPatterns(images);
  return patterns.length > 0 && patterns.every(name => /\.tar$/i.test(name) || compressed.test(name));
}

/** The same patterns with absolute paths; anything but shards is one path. */
export function absoluteImages(images: string): string {
  if (!isShardPattern(images)) return path.resolve(images);
  return splitPatterns(images)
    .map(pattern => path.resolve(pattern))
    .join(',');
}

/**
 * Files that patterns stand for, each once, in their order: those of a brace range as it counts, of a wildcard by name.
 *
 * @throws FileError for a shard that is not there, and for compressed ones.
 */
export async function findShards(images: string): Promise<string[]> {
  const shards = new Set<string>();
  for (const pattern of splitPatterns(images)) {
    if (compressed.test(pattern)) throw compressedError(pattern);
    // The library stops silently at its limit: one more than is allowed shows that there are more.
    const names = expand(slashed(pattern), { max: maximumShards + 1 });
    for (const name of names) {
      const file = path.resolve(name);
      if (/[*?]/.test(path.basename(file))) for (const found of await matching(file)) shards.add(found);
      else shards.add(await present(file));
      if (shards.size > maximumShards)
        throw new FileError(pattern, `it names more than ${maximumShards} shards`, 'Name fewer');
    }
  }
  return [...shards];
}

/** A backslash would take the meaning from the brace behind it. */
const slashed = (pattern: string): string => (path.sep === '\\' ? pattern.replaceAll('\\', '/') : pattern);

async function present(file: string): Promise<string> {
  const status = await stat(file).catch(() => null);
  if (status?.isFile()) return file;
  throw new FileError(file, 'there is no such shard', 'Check the pattern given as --images');
}

async function matching(pattern: string): Promise<string[]> {
  const folder = path.dirname(pattern);
  const names = await readdir(folder).catch(() => [] as string[]);
  const matches = wildcard(path.basename(pattern));
  const found = names.filter(name => !name.startsWith('.') && matches(name)).sort();
  if (found.length === 0)
    throw new FileError(pattern, 'no shard matches', 'Check the pattern given as --images');
  return found.map(name => path.join(folder, name));
}

/** `*` and `?` in a file name, without the backtracking of a regular expression. */
function wildcard(pattern: string): (name: string) => boolean {
  return name => {
    let [at, from] = [0, 0];
    let [star, resume] = [-1, 0];
    while (from < name.length) {
      if (pattern[at] === '*') {
        star = at++;
        resume = from;
      } else if (pattern[at] === '?' || pattern[at] === name[from]) {
        at++;
        from++;
      } else if (star >= 0) {
        at = star + 1;
        from = ++resume;
      } else return false;
    }
    while (pattern[at] === '*') at++;
    return at === pattern.length;
  };
}
