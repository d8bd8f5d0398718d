import { open } from 'node:fs/promises';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** `2025-01-31T14:25:01.123Z [warning] message`, as a run's `log.txt` has it; time and brackets may be missing. */
const levelPattern =
  /^(?:\d{4}-\d\d-\d\d[T ][\d:.,]+Z?\s+)?\[?(trace|debug|info|warn|warning|error)\]?:?(?=\s)\s*/i;

/** The level a line of a trainer's log declares at its start; `info` for a line without one. */
export function levelOfLine(line: string): LogLevel {
  const word = levelPattern.exec(line)?.[1]?.toLowerCase();
  if (word === 'error') return 'error';
  if (word === 'warn' || word === 'warning') return 'warn';
  if (word === 'debug' || word === 'trace') return 'debug';
  return 'info';
}

/** The line without its level, which the log channel writes itself; the trainer's own time stays. */
export function messageOfLine(line: string): string {
  const match = levelPattern.exec(line);
  if (match === null) return line;
  const time = /^\S+(?=\s+\[)/.exec(match[0])?.[0];
  const message = line.slice(match[0].length);
  return time === undefined ? message : `${time} ${message}`;
}

/** Bytes read from a log at once; of a longer backlog only the end is read. */
const MAXIMUM_CHUNK_BYTES = 256 * 1024;
/** A line longer than this is cut. */
const MAXIMUM_LINE_LENGTH = 4000;

/**
 * Reads the lines that were appended to a text file since the last call; the first call gives the last `backlog` lines. A line without its line
 * feed waits for it. A file that is not there has no lines; one that shrank is read from its start.
 */
export class LogTail {
  readonly #path: string;
  readonly #backlog: number;
  #offset: number | null = null;
  #partial = '';

  constructor(path: string, backlog: number) {
    this.#path = path;
    this.#backlog = backlog;
  }

  async readNewLines(): Promise<string[]> {
    const first = this.#offset === null;
    const text = await this.#readNewText();
    const pieces = (this.#partial + text).split('\n');
    this.#partial = pieces.pop()!.slice(0, MAXIMUM_LINE_LENGTH);
    const lines = pieces.map(line => line.replace(/\r$/, '').slice(0, MAXIMUM_LINE_LENGTH));
    return first ? lines.slice(-this.#backlog) : lines;
  }

  async #readNewText(): Promise<string> {
    let file: Awaited<ReturnType<typeof open>>;
    try {
      file = await open(this.#path, 'r');
    } catch {
      return '';
    }
    try {
      const status = await file.stat();
      if (!status.isFile()) return '';
      if (this.#offset !== null && status.size < this.#offset) this.#restart();
      const start = Math.max(this.#offset ?? 0, status.size - MAXIMUM_CHUNK_BYTES);
      const { bytesRead, buffer } = await file.read(
        Buffer.alloc(status.size - start),
        0,
        status.size - start,
        start,
      );
      this.#offset = start + bytesRead;
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  }

  #restart(): void {
    this.#offset = 0;
    this.#partial = '';
  }
}
