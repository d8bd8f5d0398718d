import { open, stat } from 'node:fs/promises';
import { writeAtomically, writeFully } from './atomicFile.ts';
import { FileError, naming } from './fileError.ts';

/** Settings and records are small; a larger file is not one of ours. */
const defaultLimit = 1 << 20;

/**
 * Reads a text file of at most `limit` bytes.
 *
 * @throws FileError when it cannot be read, is not a plain file or is larger.
 */
export async function readBoundedText(file: string, limit = defaultLimit): Promise<string> {
  return naming(file, 'read', async () => {
    // Opening a named pipe would wait for a writer for ever, so look first.
    if (!(await stat(file)).isFile()) throw new FileError(file, 'it is not a plain file', 'Check the path');
    const handle = await open(file, 'r');
    try {
      const buffer = Buffer.alloc(Math.min((await handle.stat()).size, limit) + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
        length += bytesRead;
        if (bytesRead === 0 || length === buffer.length) break;
      }
      if (length > limit)
        throw new FileError(file, `it is larger than ${limit} bytes`, 'Check that it is the right file');
      return buffer.toString('utf8', 0, length);
    } finally {
      await handle.close();
    }
  });
}

/**
 * Reads a small JSON file.
 *
 * @throws FileError also when it is not valid JSON.
 */
export async function readJson(file: string, limit = defaultLimit): Promise<unknown> {
  const text = await readBoundedText(file, limit);
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FileError(file, `it is not valid JSON: ${reason}`, 'Correct or replace the file', {
      cause: error,
    });
  }
}

/** Writes `value` as indented JSON, atomically (see `writeAtomically`). */
export async function writeJson(
  file: string,
  value: unknown,
  options: { durable?: boolean } = {},
): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  await writeAtomically(file, handle => writeFully(handle, bytes), options);
}

/** Whether `value` is a JSON object (not null, not an array). */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
