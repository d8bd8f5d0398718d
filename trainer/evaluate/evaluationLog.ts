/**
 * What an evaluation has done so far, so that one that was cut goes on: the regions in an append-only file, and beside
 * it a line for each image that is complete.
 */
import { type FileHandle, open, rename, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories, writeFully } from '../checkpoints/atomicFile.ts';
import { naming } from '../checkpoints/fileError.ts';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { sizeOf, wholeLines } from '../checkpoints/wholeLines.ts';
import { type EvaluatedRegion, regionsFileOf } from './protocol.ts';
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

type LoggedImage = ImageEntry & { bytes: number };

const nameWithout = (report: string): string => report.replace(/\.json$/i, '');

/** Files of an evaluation that goes on. */
const workFiles = (report: string): { regions: string; progress: string } => ({
  regions: `${nameWithout(report)}.regions.partial.jsonl`,
  progress: `${nameWithout(report)}.progress.jsonl`,
});

export class EvaluationLog {
  readonly #report: string;
  readonly #regions: FileHandle;
  readonly #progress: FileHandle;
  #bytes: number;
  /** Images that were complete when the log was opened. */
  readonly images: readonly ImageEntry[];
  readonly retention: readonly RetentionEntry[];

  private constructor(
    report: string,
    handles: { regions: FileHandle; progress: FileHandle },
    past: { images: LoggedImage[]; retention: RetentionEntry[] },
  ) {
    this.#report = report;
    this.#regions = handles.regions;
    this.#progress = handles.progress;
    this.images = past.images;
    this.retention = past.retention;
    this.#bytes = past.images.at(-1)?.bytes ?? 0;
  }

  /**
   * Opens the log of an evaluation: what is there counts when it was begun with the same key.
   *
   * @param key Stands for everything the results depend on.
   * @param replay Gets the regions of the images that are complete, in order.
   * @throws FileError when the files cannot be written.
   */
  static async open(
    report: string,
    key: string,
    replay: (region: EvaluatedRegion, entry: ImageEntry, place: number) => void,
  ): Promise<EvaluationLog> {
    const files = workFiles(report);
    return naming(report, 'write', async () => {
      await makeDirectories(path.dirname(path.resolve(report)));
      const past = await readPast(files, key);
      if (past) {
        await truncate(files.regions, past.images.at(-1)?.bytes ?? 0);
        await truncate(files.progress, past.bytes);
        await replayRegions(files.regions, past.images, replay);
      }
      const flags = past ? 'a' : 'w';
      const regions = await open(files.regions, flags);
      const progress = await open(files.progress, flags);
      if (!past) await writeFully(progress, line({ schema: 1, key }));
      return new EvaluationLog(report, { regions, progress }, past ?? { images: [], retention: [] });
    });
  }

  /** Adds an image that is complete. */
  async addImage(entry: ImageEntry, regions: readonly EvaluatedRegion[]): Promise<void> {
    await naming(this.#report, 'write', async () => {
      const bytes = Buffer.concat(regions.map(line));
      await writeFully(this.#regions, bytes);
      this.#bytes += bytes.length;
      await writeFully(this.#progress, line({ ...entry, bytes: this.#bytes }));
    });
  }

  async addRetention(entry: RetentionEntry): Promise<void> {
    await naming(this.#report, 'write', () => writeFully(this.#progress, line(entry)));
  }

  /** Puts the regions where they belong; the report follows, then `remove`. */
  async publishRegions(): Promise<void> {
    await naming(this.#report, 'write', async () => {
      await this.#regions.sync();
      await this.close();
      await rename(workFiles(this.#report).regions, regionsFileOf(this.#report));
    });
  }

  async remove(): Promise<void> {
    await rm(workFiles(this.#report).progress, { force: true });
  }

  /** Lets go of the files; the next evaluation with the same key goes on from them. */
  async close(): Promise<void> {
    await this.#regions.close();
    await this.#progress.close();
  }
}

const line = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`);

interface Past {
  images: LoggedImage[];
  retention: RetentionEntry[];
  /** Of the progress file up to its last whole line. */
  bytes: number;
}

/** What an earlier evaluation of the same key has done; null when there is none, or its files do not fit together. */
async function readPast(files: { regions: string; progress: string }, key: string): Promise<Past | null> {
  const past: Past = { images: [], retention: [], bytes: 0 };
  const size = await sizeOf(files.regions);
  if (size === null || (await sizeOf(files.progress)) === null) return null;
  let first = true;
  for await (const { text, end } of wholeLines(files.progress)) {
    const entry = parsed(text);
    if (!isJsonObject(entry)) break;
    if (first && !(entry.schema === 1 && entry.key === key)) return null;
    if (isLoggedImage(entry)) {
      if (entry.bytes > size || entry.image !== past.images.length) break;
      past.images.push(entry);
    } else if (isRetention(entry)) past.retention.push(entry);
    else if (!first) break;
    first = false;
    past.bytes = end;
  }
  return first ? null : past;
}

async function replayRegions(
  file: string,
  images: readonly ImageEntry[],
  replay: (region: EvaluatedRegion, entry: ImageEntry, place: number) => void,
): Promise<void> {
  const withRegions = images.filter(({ regions }) => regions > 0);
  let image = 0;
  let place = 0;
  for await (const { text } of wholeLines(file)) {
    const entry = withRegions[image]!;
    replay(JSON.parse(text) as EvaluatedRegion, entry, place);
    place++;
    if (place < entry.regions) continue;
    image++;
    place = 0;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
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
