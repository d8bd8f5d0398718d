import { appendFileSync } from 'node:fs';

export type LogLevel = 'info' | 'warning' | 'error';

/** Seconds between two progress lines where lines cannot be overwritten. */
const progressInterval = 5;

/** Where a log's lines go beside the run's `log.txt`. */
export interface LogStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/**
 * The trainer's words: to a stream (stderr) for people and, once a run exists, to its `log.txt` with time and level.
 * A log that cannot be written never ends a run: what matters is written elsewhere, and fails there.
 */
export class RunLog {
  readonly #stream: LogStream;
  #file: string | null = null;
  #lineOpen = false;
  #lastProgress = Number.NEGATIVE_INFINITY;

  constructor(stream: LogStream) {
    this.#stream = stream;
  }

  /** Appends to this file from now on. */
  attach(file: string): void {
    this.#file = file;
  }

  info(message: string): void {
    this.#say('info', message);
  }

  warn(message: string): void {
    this.#say('warning', message);
  }

  /** Goes to the file only: whoever reports the failure to the user says it on the stream. */
  error(message: string): void {
    this.#append('error', message);
  }

  /** One line about ongoing work: overwritten in place on a terminal, now and then elsewhere. */
  progress(message: string): void {
    const now = performance.now();
    const due = now - this.#lastProgress >= progressInterval * 1000;
    if (due) {
      this.#lastProgress = now;
      this.#append('info', message);
    }
    if (this.#stream.isTTY) {
      this.#stream.write(`\r\x1b[K${message.slice(0, Math.max(20, (this.#stream.columns ?? 80) - 1))}`);
      this.#lineOpen = true;
    } else if (due) this.#stream.write(`${message}\n`);
  }

  /** Ends a line that is being overwritten. */
  endProgress(): void {
    if (this.#lineOpen) this.#stream.write('\n');
    this.#lineOpen = false;
  }

  #say(level: LogLevel, message: string): void {
    this.endProgress();
    this.#stream.write(`${level === 'info' ? '' : `${level}: `}${message}\n`);
    this.#append(level, message);
  }

  #append(level: LogLevel, message: string): void {
    if (this.#file === null) return;
    try {
      appendFileSync(
        this.#file,
        `${new Date().toISOString()} [${level}] ${message.replace(/\s*[\r\n]+\s*/g, ' ')}\n`,
      );
    } catch {
      this.#file = null;
    }
  }
}
