/**
 * Append-only files of JSON lines for work that goes on after a kill: the first line says what the work was begun with, and
 * each further one a piece of it that is complete.
 */
import { type FileHandle, open, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories, writeFully } from './atomicFile.ts';
import { naming } from './fileError.ts';
import { wholeLines } from './wholeLines.ts';

export interface LineReader<Entry> {
  /** Whether the first line is that of the same work. What is not valid JSON comes as null. */
  begins(header: unknown): boolean;
  /** The entry of a further line; null for one that does not count, at which reading ends. */
  entryOf(value: unknown, index: number): Entry | null;
}

export interface PastLines<Entry> {
  entries: Entry[];
  /** Where the last of them ends in the file. */
  bytes: number;
}

/** What an earlier process left of the same work; null when there is nothing. A line torn by a kill does not count. */
export async function readLineLog<Entry>(
  file: string,
  { begins, entryOf }: LineReader<Entry>,
): Promise<PastLines<Entry> | null> {
  const entries: Entry[] = [];
  let bytes = 0;
  for await (const { text, end } of wholeLines(file)) {
    const value = parsedJson(text);
    if (bytes > 0) {
      const entry = entryOf(value, entries.length);
      if (entry === null) break;
      entries.push(entry);
    } else if (!begins(value)) return null;
    bytes = end;
  }
  return bytes === 0 ? null : { entries, bytes };
}

export class LineLog {
  readonly #file: string;
  readonly #handle: FileHandle;

  private constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  /**
   * Goes on after the past lines, or begins anew.
   *
   * @param past What `readLineLog` found.
   * @throws FileError when the file cannot be written.
   */
  static async open(file: string, header: object, past: { bytes: number } | null): Promise<LineLog> {
    return naming(file, 'write', async () => {
      await makeDirectories(path.dirname(path.resolve(file)));
      if (past) await truncate(file, past.bytes);
      const handle = await open(file, past ? 'a' : 'w');
      if (!past) await writeFully(handle, jsonLine(header));
      return new LineLog(file, handle);
    });
  }

  /** Adds an entry in one line. */
  async add(entry: object): Promise<void> {
    await naming(this.#file, 'write', () => writeFully(this.#handle, jsonLine(entry)));
  }

  /** Lets go of the file; the same work goes on from it. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** The work is done: the file is not needed any more. Close it first. */
  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
  }
}

export const jsonLine = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`);

/** The value of a JSON text; null where it is not valid. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
