import { stat } from 'node:fs/promises';
import path from 'node:path';
import { naming } from '../checkpoints/fileError.ts';
import { isJsonObject, readJson, writeJson } from '../checkpoints/jsonFile.ts';
import { hashFile } from '../checkpoints/modelFiles.ts';

interface KnownHash {
  size: number;
  /** Of the last change, milliseconds since the Unix epoch. */
  modified: number;
  sha256: string;
}

/** A file that changed less than this before it was looked at may change again within its clock's resolution. */
const settledAfterMilliseconds = 2_000;
const mostEntries = 512;

/**
 * SHA-256 of files, remembered by path, size and time of change, in memory and in a file: model files are hundreds of
 * megabytes.
 */
export class FileHashes {
  readonly #file: string;
  readonly #known: Map<string, KnownHash>;

  private constructor(file: string, known: Map<string, KnownHash>) {
    this.#file = file;
    this.#known = known;
  }

  /** @param file Where the hashes are kept; one that cannot be read counts as empty. */
  static async open(file: string): Promise<FileHashes> {
    const content = await readJson(file).catch(() => null);
    const known = new Map<string, KnownHash>();
    if (isJsonObject(content))
      for (const [name, entry] of Object.entries(content)) if (isKnownHash(entry)) known.set(name, entry);
    return new FileHashes(file, known);
  }

  /**
   * Hex digits of the file's SHA-256.
   *
   * @throws FileError when it cannot be read.
   */
  async of(file: string): Promise<string> {
    const name = path.resolve(file);
    const { size, mtimeMs: modified } = await naming(name, 'read', () => stat(name));
    const known = this.#known.get(name);
    this.#known.delete(name);
    if (known && known.size === size && known.modified === modified) {
      this.#known.set(name, known);
      return known.sha256;
    }
    const sha256 = await hashFile(name);
    if (Date.now() - modified > settledAfterMilliseconds)
      await this.#remember(name, { size, modified, sha256 });
    return sha256;
  }

  async #remember(name: string, hash: KnownHash): Promise<void> {
    this.#known.set(name, hash);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= mostEntries) break;
      this.#known.delete(oldest);
    }
    // Only time is lost when it cannot be kept.
    await writeJson(this.#file, Object.fromEntries(this.#known), { durable: false }).catch(() => undefined);
  }
}

const isKnownHash = (entry: unknown): entry is KnownHash =>
  isJsonObject(entry) &&
  typeof entry.size === 'number' &&
  typeof entry.modified === 'number' &&
  typeof entry.sha256 === 'string' &&
  /^[0-9a-f]{64}$/.test(entry.sha256);
