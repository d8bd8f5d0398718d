import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { asFileError, naming, systemErrorCode } from '../checkpoints/fileError.ts';
import type { MetricRecord } from '../protocol.ts';
import { formatMetricRecord, MetricHistory, maximumLineBytes, parseMetricLine } from './metricRecords.ts';

const newline = 0x0a;

function lastByte(descriptor: number): number | undefined {
  const { size } = fstatSync(descriptor);
  const byte = Buffer.alloc(1);
  return size > 0 && readSync(descriptor, byte, 0, 1, size - 1) === 1 ? byte[0] : undefined;
}

/**
 * Appends records to `metrics.jsonl`. Each goes to the system in one call before `write` returns, so that a trainer
 * killed at any moment loses at most the record it was writing.
 */
export class MetricWriter {
  readonly #file: string;
  readonly #descriptor: number;
  /** The file ends within a line, left by a killed trainer or a full disk. */
  #torn: boolean;
  #open = true;

  private constructor(file: string, descriptor: number, torn: boolean) {
    this.#file = file;
    this.#descriptor = descriptor;
    this.#torn = torn;
  }

  /**
   * Opens or creates the file. A line that was torn at the end is closed by the next record, and readers skip it.
   *
   * @throws FileError
   */
  static open(file: string): MetricWriter {
    try {
      const descriptor = openSync(file, 'a+');
      const last = lastByte(descriptor);
      return new MetricWriter(file, descriptor, last !== undefined && last !== newline);
    } catch (error) {
      throw asFileError(error, file, 'write');
    }
  }

  /**
   * Appends one record.
   *
   * @throws FileError when the disk is full and the like; the next record starts on a line of its own.
   */
  write(record: MetricRecord): void {
    const line = Buffer.from(`${this.#torn ? '\n' : ''}${formatMetricRecord(record)}`);
    this.#torn = true;
    try {
      let offset = 0;
      while (offset < line.length) offset += writeSync(this.#descriptor, line, offset);
    } catch (error) {
      throw asFileError(error, this.#file, 'write');
    }
    this.#torn = false;
  }

  /** Closes the file; again does nothing. */
  dispose(): void {
    if (this.#open) closeSync(this.#descriptor);
    this.#open = false;
  }
}

/** Bytes at the start of the file by which a replaced file is told from a grown one. */
const fingerprintBytes = 256;
const pieceBytes = 1 << 20;

/**
 * Reads what has been appended to a `metrics.jsonl` since the last look. The file may not be there yet, end within
 * a line, be cut or be replaced by another.
 */
export class MetricTail {
  readonly #file: string;
  #offset = 0;
  #fingerprint = Buffer.alloc(0);
  /** Start of a line whose end has not been written yet. */
  #partial = Buffer.alloc(0);
  /** In the middle of a line that is too long to be ours. */
  #skipping = false;
  #restarts = 0;
  #pending: Promise<unknown> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  /** How often reading began again because the file was cut or replaced; what was read before no longer counts. */
  get restarts(): number {
    return this.#restarts;
  }

  /**
   * The records that are new, in order; none while the file is missing. Calls wait for one another.
   *
   * @throws FileError when the file cannot be read.
   */
  readNew(): Promise<MetricRecord[]> {
    const result = this.#pending.then(() => this.#readNew());
    this.#pending = result.catch(() => undefined);
    return result;
  }

  async #readNew(): Promise<MetricRecord[]> {
    return naming(this.#file, 'read', async () => {
      let handle: FileHandle;
      try {
        handle = await open(this.#file, 'r');
      } catch (error) {
        if (systemErrorCode(error) !== 'ENOENT') throw error;
        this.#restart();
        return [];
      }
      try {
        if (await this.#wasReplaced(handle)) this.#restart();
        return await this.#readRest(handle);
      } finally {
        await handle.close();
      }
    });
  }

  #restart(): void {
    if (this.#offset > 0) this.#restarts++;
    this.#offset = 0;
    this.#partial = Buffer.alloc(0);
    this.#fingerprint = Buffer.alloc(0);
    this.#skipping = false;
  }

  /** Compares the first bytes: the file's number would not show a file that was cut and written anew. */
  async #wasReplaced(handle: FileHandle): Promise<boolean> {
    if ((await handle.stat()).size < this.#offset) return true;
    const start = Buffer.alloc(this.#fingerprint.length);
    const { bytesRead } = await handle.read(start, 0, start.length, 0);
    return bytesRead < start.length || !start.equals(this.#fingerprint);
  }

  async #readRest(handle: FileHandle): Promise<MetricRecord[]> {
    const records: MetricRecord[] = [];
    const piece = Buffer.alloc(pieceBytes);
    for (;;) {
      const { bytesRead } = await handle.read(piece, 0, piece.length, this.#offset);
      if (bytesRead === 0) return records;
      const bytes = piece.subarray(0, bytesRead);
      if (this.#fingerprint.length < fingerprintBytes && this.#offset === this.#fingerprint.length) {
        const missing = fingerprintBytes - this.#fingerprint.length;
        this.#fingerprint = Buffer.concat([this.#fingerprint, bytes.subarray(0, missing)]);
      }
      this.#offset += bytesRead;
      this.#takeLines(bytes, records);
    }
  }

  #takeLines(bytes: Buffer, records: MetricRecord[]): void {
    let start = 0;
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
      if (!this.#skipping) {
        const line = Buffer.concat([this.#partial, bytes.subarray(start, end)]).toString('utf8');
        const record = line.length <= maximumLineBytes ? parseMetricLine(line) : null;
        if (record !== null) records.push(record);
      }
      this.#partial = Buffer.alloc(0);
      this.#skipping = false;
      start = end + 1;
    }
    if (this.#skipping) return;
    this.#partial = Buffer.concat([this.#partial, bytes.subarray(start)]);
    if (this.#partial.length > maximumLineBytes) {
      this.#partial = Buffer.alloc(0);
      this.#skipping = true;
    }
  }
}

/**
 * Reads a whole `metrics.jsonl`; a missing file is an empty history.
 *
 * @throws FileError when it cannot be read.
 */
export async function readMetricHistory(file: string): Promise<MetricHistory> {
  const history = new MetricHistory();
  history.addAll(await new MetricTail(file).readNew());
  return history;
}
