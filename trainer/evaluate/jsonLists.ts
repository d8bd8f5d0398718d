/**
 * Lists of a JSON object, item by item, from files that are too large to be parsed at once. The streaming parser is
 * known to this module alone.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { JSONParser } from '@streamparser/json';
import { FileError, naming } from '../checkpoints/fileError.ts';
import { TransferMeter, type TransferProgress } from '../transferMeter.ts';

/** Gets the items of a list in order; what it throws ends the reading. */
export type ListReceiver = (item: unknown, index: number) => void;

export interface ReadLists {
  /** SHA-256 of the whole file, hex. */
  sha256: string;
  /** Items of each list; lists that the file does not have are missing. */
  counts: ReadonlyMap<string, number>;
  /** Why the file is no whole JSON; null when it is. What came before has been received. */
  damage: string | null;
}

export interface ReadingOptions {
  /** Gives the reading up. */
  signal?: AbortSignal;
  /** Told how much of the file has been read, a few times a second. */
  progress?: (progress: TransferProgress) => void;
}

const pieceBytes = 1 << 18;

const byteOrderMark = Buffer.from('\uFEFF');

const withoutMark = (bytes: Buffer): Buffer =>
  bytes.subarray(0, byteOrderMark.length).equals(byteOrderMark)
    ? bytes.subarray(byteOrderMark.length)
    : bytes;

/**
 * Reads `{"name": [item, …], …}`. Memory holds one item at a time; other members are passed over.
 *
 * @param receivers By the name of the list.
 * @throws FileError when the file cannot be read, the signal's reason when it is given up, and whatever a receiver throws.
 */
export async function readJsonLists(
  file: string,
  receivers: Readonly<Record<string, ListReceiver>>,
  { signal, progress }: ReadingOptions = {},
): Promise<ReadLists> {
  const counts = new Map<string, number>();
  let thrown: unknown = null;
  let damage: string | null = null;
  const parser = new JSONParser({
    paths: Object.keys(receivers).map(name => `$.${name}.*`),
    keepStack: false,
    stringBufferSize: 1 << 16,
    numberBufferSize: 64,
  });
  parser.onValue = ({ value, parent, stack }) => {
    // A member that is an object instead of a list counts as missing.
    if (!Array.isArray(parent)) return;
    const name = String(stack[1]?.key);
    const index = counts.get(name) ?? 0;
    counts.set(name, index + 1);
    try {
      receivers[name]!(value, index);
    } catch (error) {
      // The parser takes every error for one of the JSON, so the first is kept aside and ends the parsing.
      thrown ??= error;
      throw error;
    }
  };
  parser.onError = error => {
    damage ??= error.message;
  };
  const hash = createHash('sha256');
  await naming(file, 'read', async () => {
    const status = await stat(file);
    if (!status.isFile()) throw new FileError(file, 'it is not a plain file', 'Check the path');
    let first = true;
    let read = 0;
    const meter = new TransferMeter(status.size, 0, progress);
    for await (const chunk of createReadStream(file, { highWaterMark: pieceBytes })) {
      signal?.throwIfAborted();
      const bytes = chunk as Buffer;
      hash.update(bytes);
      if (damage === null) parser.write(first ? withoutMark(bytes) : bytes);
      first = false;
      if (thrown !== null) return;
      read += bytes.length;
      meter.show(read);
    }
  });
  if (thrown !== null) throw thrown;
  if (damage === null && !parser.isEnded) damage = 'it ends too early';
  return { sha256: hash.digest('hex'), counts, damage };
}
