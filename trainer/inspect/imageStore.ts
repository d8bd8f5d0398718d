import { FileError, systemErrorCode } from '../checkpoints/fileError.ts';
import { decodeImage } from '../images/decode.ts';
import type { Raster } from '../images/raster.ts';
import type { FileHashes } from './fileHashes.ts';
import { InspectError, imageError, translating } from './inspectError.ts';

/** More decoded pixels than this are decoded again when they are needed again. */
const keptBytes = 256 * 2 ** 20;

/** Images by path: their hash, and the pixels of the latest ones. */
export class ImageStore {
  readonly #hashes: FileHashes;
  /** By hash, in order of last use. */
  readonly #decoded = new Map<string, Raster>();

  constructor(hashes: FileHashes) {
    this.#hashes = hashes;
  }

  /** Identifies the content of an image file, whatever its name. Throws InspectError. */
  async hash(file: string): Promise<string> {
    try {
      return await this.#hashes.of(file);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      const missing = ['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error.cause) ?? '');
      throw new InspectError(missing ? 'imageNotFound' : 'imageUnreadable', error.message);
    }
  }

  /** Pixels of the file whose hash was just taken. Throws InspectError. */
  async decode(file: string, hash: string): Promise<Raster> {
    const known = this.#decoded.get(hash);
    this.#decoded.delete(hash);
    const raster = known ?? (await translating(imageError, () => decodeImage(file)));
    this.#decoded.set(hash, raster);
    let bytes = 0;
    for (const [other, { data }] of [...this.#decoded].reverse()) {
      bytes += data.byteLength;
      if (bytes > keptBytes && other !== hash) this.#decoded.delete(other);
    }
    return raster;
  }
}
