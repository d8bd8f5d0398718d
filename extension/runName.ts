import { stat } from 'node:fs/promises';
import path from 'node:path';
import { isShardPattern, splitPatterns } from '../trainer/shards/shardPattern.ts';
import { jobFilesOf } from '../trainer/slurm/batchScript.ts';

/** Names longer than this are cut: some file systems and the tree view do not like them. */
const MAXIMUM_BASE_LENGTH = 40;

/** A run's name: what it trains on and when it was started, such as `kitchen-20250131-142501`. */
export function runName(images: string, now: Date): string {
  // Shards are called by their folder: a pattern is no name.
  const source = isShardPattern(images) ? path.dirname(splitPatterns(images)[0]!) : images;
  const base = path
    .basename(source, path.extname(source) === '.json' ? '.json' : '')
    .normalize('NFKC')
    .replace(/[^\p{L}\p{N}._-]+/gu, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, MAXIMUM_BASE_LENGTH);
  return `${base === '' ? 'run' : base}-${timestamp(now)}`;
}

function timestamp(now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `${date}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}

/**
 * A directory in `folder` that does not exist yet and that no Slurm job is to make, named after `name`. Nothing is
 * created.
 */
export async function freeDirectory(folder: string, name: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const directory = path.join(folder, attempt === 1 ? name : `${name}-${attempt}`);
    const taken = await Promise.all([directory, jobFilesOf(directory).script].map(isThere));
    if (!taken.includes(true)) return directory;
  }
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );
