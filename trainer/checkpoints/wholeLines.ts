import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';

/** The lines of a file that have an end, and where in the file each ends; none where it cannot be read. */
export async function* wholeLines(file: string): AsyncGenerator<{ text: string; end: number }> {
  const size = await sizeOf(file);
  if (size === null) return;
  let end = 0;
  for await (const text of createInterface({
    input: createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    end += Buffer.byteLength(text) + 1;
    // The last line has no end when its writer was killed.
    if (end <= size) yield { text, end };
  }
}

/** Bytes of a file; null where it cannot be read. */
export async function sizeOf(file: string): Promise<number | null> {
  try {
    const handle = await open(file, 'r');
    try {
      return (await handle.stat()).size;
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}
