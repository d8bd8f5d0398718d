import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories, writeAtomically, writeFully } from '../checkpoints/atomicFile.ts';
import { FileError, naming, systemErrorCode } from '../checkpoints/fileError.ts';
import { isJsonObject, readJson, writeJson } from '../checkpoints/jsonFile.ts';

/** A map in the cache: a file of raw numbers and what they mean. */
export interface CachedMap {
  /** 64 hex digits. */
  key: string;
  /** Absolute path of the raw numbers. */
  file: string;
  /** Hash of the image that the map was computed from. */
  image: string;
  /** What the numbers are, such as rows and columns. */
  numbers: Readonly<Record<string, number>>;
}

export interface CacheBounds {
  /** Maps of this many images stay, the latest used ones. */
  images: number;
  bytes: number;
}

interface Entry {
  key: string;
  image: string;
  bytes: number;
  /** Milliseconds since the Unix epoch. */
  used: number;
}

const keyPattern = /^[0-9a-f]{64}$/;
const ownName = /^([0-9a-f]{64})\.(map|json)$/;
const leftoverName = /^\.([0-9a-f]{64}\.(map|json)|hashes\.json)\.tmp-\d+-[0-9a-f]+$/;
const staleAfterMilliseconds = 3_600_000;

/**
 * Maps in a folder, found again by key, bounded by images and bytes. Several processes may share the folder: entries
 * appear whole or not at all, and one that is damaged or vanishes is a map that was never there.
 */
export class MapCache {
  readonly #folder: string;
  readonly #bounds: CacheBounds;
  /** Nobody who keeps a map waits for others to be let go; whoever looks for one next does. */
  #evicting: Promise<void> = Promise.resolve();

  private constructor(folder: string, bounds: CacheBounds) {
    this.#folder = folder;
    this.#bounds = bounds;
  }

  /**
   * Creates the folder where it is missing, and removes what a killed process left half written.
   *
   * @throws FileError when the folder cannot be created.
   */
  static async open(folder: string, bounds: CacheBounds): Promise<MapCache> {
    const root = path.resolve(folder);
    await naming(root, 'write', () => makeDirectories(root));
    for (const name of await readdir(root).catch(() => [])) {
      if (!leftoverName.test(name)) continue;
      const file = path.join(root, name);
      const age = await stat(file).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      if (age > staleAfterMilliseconds) await rm(file, { force: true }).catch(() => undefined);
    }
    return new MapCache(root, bounds);
  }

  /** The key of what these parts identify. */
  static keyOf(parts: readonly (string | number | null)[]): string {
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  }

  /** A map and its bytes; null when it is not there or damaged, and then nothing of it stays. Counts as use. */
  async get(key: string): Promise<(CachedMap & { bytes: Buffer<ArrayBuffer> }) | null> {
    if (!keyPattern.test(key)) return null;
    await this.#evicting;
    const { map, sidecar } = this.#paths(key);
    try {
      const found = parseSidecar(await readJson(sidecar), key);
      const bytes = found && (await readWhole(map, found.bytes));
      if (found && bytes && sha256(bytes) === found.sha256) {
        const now = new Date();
        await utimes(sidecar, now, now);
        return { key, file: map, image: found.image, numbers: found.numbers, bytes };
      }
    } catch (error) {
      // Without a sidecar another process may be writing it just now; unreadable ones are rebuilt like damaged ones.
      if (error instanceof FileError && systemErrorCode(error.cause) === 'ENOENT') return null;
    }
    await this.#remove(key);
    return null;
  }

  /**
   * Keeps a map, and then lets go of the ones beyond the bounds; this one stays.
   *
   * @throws FileError when it cannot be written.
   */
  async put(
    key: string,
    image: string,
    bytes: Uint8Array,
    numbers: Readonly<Record<string, number>>,
  ): Promise<CachedMap> {
    const { map, sidecar } = this.#paths(key);
    await this.#evicting;
    await naming(this.#folder, 'write', () => makeDirectories(this.#folder));
    await writeAtomically(map, handle => writeFully(handle, bytes), { durable: false });
    const content = { schema: 1, key, image, bytes: bytes.byteLength, sha256: sha256(bytes), numbers };
    await writeJson(sidecar, content, { durable: false });
    // A folder that cannot be listed now is bounded with the next map.
    this.#evicting = this.#evict(key).catch(() => undefined);
    return { key, file: map, image, numbers };
  }

  async #evict(kept: string): Promise<void> {
    const entries = (await this.#entries()).sort((a, b) => b.used - a.used);
    const ownImage = entries.find(({ key }) => key === kept)?.image;
    const images = new Set(ownImage === undefined ? [] : [ownImage]);
    let bytes = entries.find(({ key }) => key === kept)?.bytes ?? 0;
    for (const entry of entries) {
      if (entry.key === kept) continue;
      const fits =
        (images.has(entry.image) || images.size < this.#bounds.images) &&
        bytes + entry.bytes <= this.#bounds.bytes;
      if (fits) {
        images.add(entry.image);
        bytes += entry.bytes;
      } else await this.#remove(entry.key);
    }
  }

  /** What is there; a map without its sidecar, as a killed process leaves it, belongs to no image. */
  async #entries(): Promise<Entry[]> {
    const keys = new Set<string>();
    for (const name of await readdir(this.#folder)) {
      const key = ownName.exec(name)?.[1];
      if (key !== undefined) keys.add(key);
    }
    const entries: Entry[] = [];
    for (const key of keys) {
      const { map, sidecar } = this.#paths(key);
      try {
        const content = parseSidecar(await readJson(sidecar), key);
        const { mtimeMs } = await stat(sidecar);
        const { size } = await stat(map);
        entries.push({ key, image: content?.image ?? '', bytes: size, used: content ? mtimeMs : 0 });
      } catch {
        await this.#removeStale(map);
      }
    }
    return entries;
  }

  /** Another process may be between writing a map and its sidecar, so only what has lain for long goes. */
  async #removeStale(map: string): Promise<void> {
    const status = await stat(map).catch(() => null);
    if (status && Date.now() - status.mtimeMs > staleAfterMilliseconds)
      await rm(map, { force: true }).catch(() => undefined);
  }

  /** The sidecar goes first: without it the map does not count. */
  async #remove(key: string): Promise<void> {
    const { map, sidecar } = this.#paths(key);
    for (const file of [sidecar, map]) await rm(file, { force: true }).catch(() => undefined);
  }

  #paths(key: string): { map: string; sidecar: string } {
    return { map: path.join(this.#folder, `${key}.map`), sidecar: path.join(this.#folder, `${key}.json`) };
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Null when the size is not the expected one, so that memory stays bounded by the sidecar of our own. */
async function readWhole(file: string, size: number): Promise<Buffer<ArrayBuffer> | null> {
  return (await stat(file)).size === size ? readFile(file) : null;
}

interface Sidecar {
  image: string;
  bytes: number;
  sha256: string;
  numbers: Record<string, number>;
}

function parseSidecar(content: unknown, key: string): Sidecar | null {
  if (!isJsonObject(content) || content.schema !== 1 || content.key !== key) return null;
  const { image, bytes, sha256, numbers } = content;
  if (typeof image !== 'string' || typeof bytes !== 'number' || typeof sha256 !== 'string') return null;
  if (!isJsonObject(numbers) || !Object.values(numbers).every(Number.isFinite)) return null;
  return { image, bytes, sha256, numbers: numbers as Record<string, number> };
}
