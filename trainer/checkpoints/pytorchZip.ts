/** The zip archive that PyTorch writes: entries stored without compression, found through yauzl, read by ranges. */
import type { FileHandle } from 'node:fs/promises';
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl';
import { FileError } from './fileError.ts';
import { readFully } from './tensorRange.ts';

/** A checkpoint with its optimiser has a few thousand entries. */
const maximumEntries = 200_000;

/** The file breaks the format. */
export function invalidArchive(file: string, reason: string): FileError {
  return new FileError(file, `not a valid PyTorch file: ${reason}`, 'Download or export the file again');
}

/** Where an entry's bytes lie in the file. */
export interface EntryRange {
  readonly start: number;
  readonly length: number;
}

/**
 * Gives yauzl the file. Its own reader hands any position that an archive names to the system, and one out of range is
 * thrown where nobody can catch it.
 */
class CheckedReader extends RandomAccessReader {
  readonly #handle: FileHandle;
  readonly #size: number;

  constructor(handle: FileHandle, size: number) {
    super();
    this.#handle = handle;
    this.#size = size;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    if (!(position >= 0 && position + length <= this.#size)) {
      process.nextTick(callback, new RangeError('it refers to bytes beyond its end'));
      return;
    }
    this.#handle
      .read(buffer, offset, length, position)
      .then(({ bytesRead }) => {
        if (bytesRead < length) throw new RangeError('it is cut short');
        callback(null, bytesRead);
      })
      // Also what yauzl throws over bytes that it did not expect: told as an error, it ends the reading.
      .catch(callback);
  }
}

/** The entries of an archive below its one top folder, by their names without it. */
export class PytorchZip {
  readonly file: string;
  readonly handle: FileHandle;
  readonly #zip: ZipFile;
  readonly #size: number;
  readonly #entries: ReadonlyMap<string, Entry>;

  constructor(
    file: string,
    handle: FileHandle,
    zip: ZipFile,
    size: number,
    entries: ReadonlyMap<string, Entry>,
  ) {
    this.file = file;
    this.handle = handle;
    this.#zip = zip;
    this.#size = size;
    this.#entries = entries;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  get names(): Iterable<string> {
    return this.#entries.keys();
  }

  /** Finds an entry's bytes; refuses compressed and encrypted entries and such as leave the file. */
  async locate(name: string): Promise<EntryRange> {
    const entry = this.#entries.get(name);
    if (!entry) throw invalidArchive(this.file, `it lacks the entry '${name.slice(0, 80)}'`);
    if (
      entry.compressionMethod !== 0 ||
      entry.isEncrypted() ||
      entry.compressedSize !== entry.uncompressedSize
    )
      throw invalidArchive(
        this.file,
        `its entry '${name}' is compressed or encrypted, which PyTorch never does`,
      );
    const { fileDataStart } = await this.#asking(() =>
      this.#zip.readLocalFileHeaderPromise(entry, { minimal: true }),
    );
    if (!(fileDataStart + entry.uncompressedSize <= this.#size))
      throw invalidArchive(this.file, `its entry '${name}' is cut short`);
    return { start: fileDataStart, length: entry.uncompressedSize };
  }

  /** Reads a small entry. */
  async readSmall(name: string, limit: number): Promise<Uint8Array> {
    const { start, length } = await this.locate(name);
    if (length > limit)
      throw invalidArchive(
        this.file,
        `its entry '${name}' has ${length} bytes, more than the ${limit} expected`,
      );
    const bytes = new Uint8Array(length);
    await readFully(this.handle, bytes, start, () => {
      throw invalidArchive(this.file, `its entry '${name}' is cut short`);
    });
    return bytes;
  }

  async #asking<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw archiveError(this.file, error);
    }
  }
}

/** yauzl reports broken archives as plain errors; those of the system keep their code. */
function archiveError(file: string, error: unknown): Error {
  if (error instanceof FileError || (error instanceof Error && 'syscall' in error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return invalidArchive(file, reason.slice(0, 200));
}

async function listEntries(file: string, zip: ZipFile): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  for await (const entry of zip.eachEntry()) {
    if (entries.size >= maximumEntries)
      throw invalidArchive(file, `it has more than ${maximumEntries} entries`);
    if (entries.has(entry.fileName))
      throw invalidArchive(file, `its entry '${entry.fileName.slice(0, 80)}' is there twice`);
    entries.set(entry.fileName, entry);
  }
  return entries;
}

/** Every entry of PyTorch's archives lies below one folder, whose name is free. */
function belowTopFolder(file: string, entries: ReadonlyMap<string, Entry>): Map<string, Entry> {
  const pickles = [...entries.keys()].filter(name => /^[^/]*\/data\.pkl$/.test(name));
  if (pickles.length !== 1)
    throw invalidArchive(
      file,
      pickles.length === 0 ? 'this zip archive holds no data.pkl' : 'it holds several data.pkl',
    );
  const prefix = pickles[0]!.slice(0, -'data.pkl'.length);
  return new Map(
    [...entries]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, entry]) => [name.slice(prefix.length), entry]),
  );
}

/**
 * Reads the directory of an archive. The caller keeps the handle and closes it.
 *
 * @throws FileError when it is no zip archive or not one of PyTorch's.
 */
export async function openPytorchZip(file: string, handle: FileHandle): Promise<PytorchZip> {
  const { size } = await handle.stat();
  try {
    const zip = await fromRandomAccessReaderPromise(new CheckedReader(handle, size), size, {
      autoClose: false,
    });
    return new PytorchZip(file, handle, zip, size, belowTopFolder(file, await listEntries(file, zip)));
  } catch (error) {
    throw archiveError(file, error);
  }
}
