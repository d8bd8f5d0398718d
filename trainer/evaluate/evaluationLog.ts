/**
 * What an evaluation has done so far, so that one that was cut goes on: the regions in an append-only file, and beside
 * it a line for each image that is complete.
 */
import { type FileHandle, open, truncate } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories, writeFully } from '../checkpoints/atomicFile.ts';
import { naming } from '../checkpoints/fileError.ts';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { jsonLine, LineLog, readLineLog } from '../checkpoints/lineLog.ts';
import { sizeOf } from '../checkpoints/wholeLines.ts';
import type { EvaluatedRegion } from './protocol.ts';
import type { SkipCounts } from './regionData.ts';

/** How the regions of an image were named at another size: places of the true class, 0 where there is no mask. */
export interface SizeRanks {
  rois: number[];
  maskpool: number[];
}

/** An image that is complete. */
export interface ImageEntry {
  /** Place in the data set. */
  image: number;
  regions: number;
  skipped: SkipCounts;
  /** For each further size. */
  sweep: SizeRanks[];
  seconds: number;
  forwardSeconds: number;
}

/** Embedding of whole images, done after the regions: which model, from which image on, places of the true class. */
export interface RetentionEntry {
  retention: 'student' | 'teacher';
  from: number;
  /** 0 for images that cannot be read. */
  ranks: number[];
}

export type LoggedImage = ImageEntry & {
  /** End of its regions in the file of regions. */
  bytes: number;
};

/** What one rank has done so far, as its files say. */
export interface LogPart {
  rank: number;
  images: LoggedImage[];
  retention: RetentionEntry[];
  /** Of the progress file up to its last whole line. */
  bytes: number;
}

export const nameWithout = (report: string): string => report.replace(/\.json$/i, '');

/** Files of an evaluation that goes on; each rank has its own. */
export function workFiles(report: string, rank: number): { regions: string; progress: string } {
  const name = rank === 0 ? nameWithout(report) : `${nameWithout(report)}.rank-${rank}`;
  return { regions: `${name}.regions.partial.jsonl`, progress: `${name}.progress.jsonl` };
}

/** Where one rank, or a process on its own, notes what it has done. */
export class EvaluationLog {
  readonly #report: string;
  readonly #regions: FileHandle;
  readonly #progress: LineLog;
  #bytes: number;

  private constructor(report: string, files: { regions: FileHandle; progress: LineLog }, bytes: number) {
    this.#report = report;
    this.#regions = files.regions;
    this.#progress = files.progress;
    this.#bytes = bytes;
  }

  /**
   * Opens the log of an evaluation: what is there counts when it was begun with the same key.
   *
   * @param key Stands for everything the results depend on.
   * @throws FileError when the files cannot be written.
   */
  static async open(report: string, key: string, rank: number): Promise<EvaluationLog> {
    const files = workFiles(report, rank);
    return naming(report, 'write', async () => {
      await makeDirectories(path.dirname(path.resolve(report)));
      const past = await readPart(report, key, rank);
      const bytes = past?.images.at(-1)?.bytes ?? 0;
      if (past) await truncate(files.regions, bytes);
      const regions = await open(files.regions, past ? 'a' : 'w');
      const progress = await LineLog.open(files.progress, { schema: 1, key }, past);
      return new EvaluationLog(report, { regions, progress }, bytes);
    });
  }

  /** Adds an image that is complete. */
  async addImage(entry: ImageEntry, regions: readonly EvaluatedRegion[]): Promise<void> {
    await naming(this.#report, 'write', async () => {
      const bytes = Buffer.concat(regions.map(jsonLine));
      await writeFully(this.#regions, bytes);
      this.#bytes += bytes.length;
    });
    await this.#progress.add({ ...entry, bytes: this.#bytes });
  }

  async addRetention(entry: RetentionEntry): Promise<void> {
    await this.#progress.add(entry);
  }

  /** Lets go of the files; the next evaluation with the same key goes on from them. */
  async close(): Promise<void> {
    await this.#regions.close();
    await this.#progress.close();
  }
}

/** What a rank has done of an evaluation of the same key; null when there is nothing, or its files do not fit together. */
export async function readPart(report: string, key: string, rank: number): Promise<LogPart | null> {
  const files = workFiles(report, rank);
  const size = await sizeOf(files.regions);
  if (size === null) return null;
  let regionBytes = 0;
  const past = await readLineLog<LoggedImage | RetentionEntry>(files.progress, {
    begins: header => isJsonObject(header) && header.schema === 1 && header.key === key,
    entryOf: entry => {
      if (!isJsonObject(entry)) return null;
      if (!isLoggedImage(entry)) return isRetention(entry) ? entry : null;
      if (entry.bytes > size || entry.bytes < regionBytes) return null;
      regionBytes = entry.bytes;
      return entry;
    },
  });
  if (!past) return null;
  const images = past.entries.filter(entry => 'image' in entry);
  const retention = past.entries.filter(entry => 'retention' in entry);
  return { rank, images, retention, bytes: past.bytes };
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const isLoggedImage = (entry: Record<string, unknown>): entry is LoggedImage & Record<string, unknown> =>
  [entry.image, entry.regions, entry.bytes].every(isCount) &&
  isJsonObject(entry.skipped) &&
  Array.isArray(entry.sweep) &&
  typeof entry.seconds === 'number' &&
  typeof entry.forwardSeconds === 'number';

const isRetention = (entry: Record<string, unknown>): entry is RetentionEntry & Record<string, unknown> =>
  (entry.retention === 'student' || entry.retention === 'teacher') &&
  isCount(entry.from) &&
  Array.isArray(entry.ranks) &&
  entry.ranks.every(isCount);
