/** What several ranks, or one after another, have done of an evaluation: found again, and put together in the data's order. */
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { writeAtomically, writeFully } from '../checkpoints/atomicFile.ts';
import { FileError, naming } from '../checkpoints/fileError.ts';
import { readFully } from '../checkpoints/tensorRange.ts';
import { type LoggedImage, type LogPart, nameWithout, readPart, workFiles } from './evaluationLog.ts';
import type { EvaluationTally } from './evaluationTally.ts';
import { type EvaluatedRegion, regionsFileOf } from './protocol.ts';

/** Wall time of an evaluation: that of the rank that was busy longest, and its share in forward passes. */
export interface EvaluationTime {
  seconds: number;
  forwardSeconds: number;
}

/** Ranks that have left files beside a report; those of any key. */
async function loggedRanks(report: string): Promise<number[]> {
  const folder = path.dirname(path.resolve(report));
  const name = path.basename(nameWithout(report));
  const names = await readdir(folder).catch(() => [] as string[]);
  const ranks = names.flatMap(file => {
    if (!file.startsWith(`${name}.`)) return [];
    const found = /^rank-(\d{1,9})\.(?:progress|regions\.partial)\.jsonl$/.exec(file.slice(name.length + 1));
    return found ? [Number(found[1])] : [];
  });
  return [0, ...new Set(ranks)].sort((a, b) => a - b);
}

/** What was done with this key. Files of another are removed, except those that rank 0 writes anew anyway. */
export async function findParts(report: string, key: string): Promise<LogPart[]> {
  const parts: LogPart[] = [];
  for (const rank of await loggedRanks(report)) {
    const part = await readPart(report, key, rank);
    if (part) parts.push(part);
    else if (rank > 0) await removeFiles(report, rank);
  }
  return parts;
}

async function removeFiles(report: string, rank: number): Promise<void> {
  const { regions, progress } = workFiles(report, rank);
  await rm(progress, { force: true });
  await rm(regions, { force: true });
}

/** When the report is there, what led to it is not needed any more. */
export async function removeParts(report: string): Promise<void> {
  for (const rank of await loggedRanks(report)) await removeFiles(report, rank);
}

/**
 * Writes the regions of all images in the order of the data set beside the report, and adds them to the tally in it: the
 * same bytes and sums whoever evaluated which image.
 *
 * @throws FileError when files cannot be read or written, or an image is missing in them.
 */
export async function mergeParts(
  report: string,
  key: string,
  images: number,
  tally: EvaluationTally,
): Promise<EvaluationTime> {
  const parts = await findParts(report, key);
  const places = placesOf(parts, images);
  const missing = places.indexOf(undefined);
  if (missing >= 0)
    throw new FileError(
      workFiles(report, 0).progress,
      `image ${missing + 1} of ${images} is missing in what the ranks wrote`,
      'Make sure that all of them see the same folder, and give the same command again',
    );
  const files = new Map<number, FileHandle>();
  try {
    for (const { rank } of parts) {
      const { regions } = workFiles(report, rank);
      files.set(rank, await naming(regions, 'read', () => open(regions, 'r')));
    }
    await writeAtomically(regionsFileOf(report), async output => {
      for (const place of places as RegionsPlace[]) {
        const bytes = await readRegions(files.get(place.rank)!, place, workFiles(report, place.rank).regions);
        await writeFully(output, bytes);
        tally.addEntry(place.entry);
        const lines = bytes.toString('utf8').split('\n').slice(0, -1);
        for (const [index, text] of lines.entries())
          tally.addRegion(JSON.parse(text) as EvaluatedRegion, place.entry, index);
      }
    });
  } finally {
    for (const file of files.values()) await file.close();
  }
  return timeOf(parts);
}

/** Where the regions of an image lie. */
interface RegionsPlace {
  rank: number;
  entry: LoggedImage;
  begin: number;
}

function placesOf(parts: readonly LogPart[], images: number): (RegionsPlace | undefined)[] {
  const places: (RegionsPlace | undefined)[] = Array.from({ length: images });
  for (const { rank, images: entries } of parts)
    for (const [index, entry] of entries.entries())
      if (entry.image < images)
        places[entry.image] ??= { rank, entry, begin: entries[index - 1]?.bytes ?? 0 };
  return places;
}

async function readRegions(
  handle: FileHandle,
  { entry, begin }: RegionsPlace,
  file: string,
): Promise<Buffer> {
  const bytes = Buffer.alloc(entry.bytes - begin);
  await readFully(handle, bytes, begin, () => {
    throw new FileError(file, 'it ended while it was being read', 'Give the same command again');
  });
  return bytes;
}

function timeOf(parts: readonly LogPart[]): EvaluationTime {
  let longest: EvaluationTime = { seconds: 0, forwardSeconds: 0 };
  for (const { images } of parts) {
    const own: EvaluationTime = { seconds: 0, forwardSeconds: 0 };
    for (const { seconds, forwardSeconds } of images) {
      own.seconds += seconds;
      own.forwardSeconds += forwardSeconds;
    }
    if (own.seconds > longest.seconds) longest = own;
  }
  return longest;
}
