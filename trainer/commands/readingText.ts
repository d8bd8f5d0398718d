/** What commands that embed words have in common. */

import { MapCache } from '../inspect/mapCache.ts';
import type { EmbedTextOptions } from '../models/textTower.ts';
import { textCacheBounds, textCacheFolder } from '../text/textCache.ts';
import { formatDuration } from '../training/progress.ts';

/** Without a folder to write to, nothing is remembered. */
export const openTextCache = (): Promise<MapCache | null> =>
  MapCache.open(textCacheFolder(), textCacheBounds).catch((error: unknown) => {
    console.error(`warning: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  });

/** Runs `work` with progress on stderr at most once a second; Ctrl-C ends it after the batch. */
export async function interruptible<T>(work: (options: EmbedTextOptions) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new Error('stopped by Ctrl-C'));
  process.once('SIGINT', interrupt);
  const start = performance.now();
  let told = start;
  const onProgress = (done: number, all: number): void => {
    const now = performance.now();
    if (now - told < 1000) return;
    told = now;
    const left = ((now - start) / 1000 / done) * (all - done);
    console.error(`prompt ${done}/${all}  ${formatDuration(left)} left`);
  };
  try {
    return await work({ signal: stop.signal, onProgress });
  } finally {
    process.off('SIGINT', interrupt);
  }
}
