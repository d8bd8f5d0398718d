import { cacheFolder } from '../cacheFolder.ts';

/** Class embeddings of this many models, and bytes of all of them, stay; those used last. */
export const textCacheBounds = { images: 32, bytes: 256 * 2 ** 20 };

/** Where the command line keeps class embeddings. */
export const textCacheFolder = (environment?: Readonly<Record<string, string | undefined>>): string =>
  cacheFolder('text', environment);
