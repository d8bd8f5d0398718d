import path from 'node:path';
import { findShards, isShardPattern, splitPatterns } from '../trainer/shards/shardPattern.ts';

/** Patterns of shards with absolute paths; relative ones count from `base`. */
export function absoluteShards(text: string, base: string): string {
  return splitPatterns(text)
    .map(pattern => path.resolve(base, pattern))
    .join(',');
}

/** Why a text names no tar shards that can be trained on, for the person who typed it; null when it does. */
export async function shardProblem(text: string, base: string): Promise<string | null> {
  if (!isShardPattern(text)) return 'Name .tar files, such as shards/{0000..0117}.tar or shards/*.tar.';
  try {
    await findShards(absoluteShards(text, base));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Whether every pattern of a list is absolute. */
export const areAbsolute = (images: string): boolean => splitPatterns(images).every(path.isAbsolute);
