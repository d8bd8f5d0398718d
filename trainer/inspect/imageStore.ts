import { FileError, systemErrorCode } from '../checkpoints/fileError.ts';
import { decodeImage } from '../images/decode.ts';
import type { Raster } from '../images/raster.ts';
import type { FileHashes } from './fileHashes.ts';
import { InspectError, imageError, translating } from './inspectError.ts';
import { Latest } from './latest.ts';

/** More decoded pixels than this are decoded again when they are needed again. */
const keptBytes = 256 * 2 ** 20;

/** Images by path: their hash, and the pixels of the latest ones. */
export class ImageStore {
  readonly #hashes: FileHashes;
  /** By hash. */
  readonly #decoded = new Latest<Raster>(keptBytes, ({ data }) => data.byteLength);

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
    if (known) return known;
    const raster = await translating(imageError, () => decodeImage(file));
    this.#decoded.set(hash, raster);
    return raster;
  }
}
