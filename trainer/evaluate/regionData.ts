/** Regions to be named, as the readers of the data sets give them. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import type { CocoSegmentation } from '../dense/cocoMask.ts';
import { pathUnder } from '../images/imageFolder.ts';
import type { MemberPlace } from '../images/memberStore.ts';
import type { EvaluatedClass } from './protocol.ts';

/** [x, y, width, height] in pixels of the file, as COCO writes boxes. */
export type CornerAndSize = readonly [number, number, number, number];

export interface AnnotatedRegion {
  /** Id of the segment or annotation. */
  segment: number;
  /** Position in the data set's `classes`. */
  class: number;
  /** Null: taken from the mask. */
  box: CornerAndSize | null;
  /** Polygons or run lengths; null where the mask is in an image of ids, or there is none. */
  segmentation: CocoSegmentation | null;
}

export interface AnnotatedImage {
  /** Path below the image folder, or name in a shard. */
  file: string;
  /** Where it lies, if it is a member of a shard. */
  member?: MemberPlace;
  /** Size in pixels that the annotations state; null where they do not. */
  stated: { width: number; height: number } | null;
  /** Path of the image of segment ids below the mask folder; null where the data set has none. */
  maskFile: string | null;
  regions: AnnotatedRegion[];
}

/** Why regions and images were left out, and how many. */
export type SkipCounts = Record<string, number>;

export interface RegionData {
  /** The annotation file. */
  annotations: string;
  /** SHA-256 of the annotation file, hex. */
  sha256: string;
  /** By category id, ascending: the order of the class embeddings. */
  classes: EvaluatedClass[];
  images: AnnotatedImage[];
  /** Left out while reading. */
  skipped: SkipCounts;
}

/** The reference names the first hundred segments of an image. */
export const mostRegions = 100;
export const tooManyRegions = `beyond the first ${mostRegions} of an image`;

export function countSkipped(counts: SkipCounts, reason: string, count = 1): void {
  counts[reason] = (counts[reason] ?? 0) + count;
}

/** Whether what is broken is left out; null where the user cannot ask for that, as in training. */
export type SkipBroken = boolean | null;

/** What to do about broken data: to repair it, or to leave such parts out where an option does that. */
export const brokenAdvice = (repair: string, parts: string, skipBroken: SkipBroken): string =>
  skipBroken === null ? repair : `${repair}, or leave such ${parts} out with --skip-broken`;

/** Where a region data set is broken: either the whole evaluation ends, or what is broken is left out and counted. */
export class Breakage {
  readonly #file: string;
  readonly #skip: boolean;
  readonly #advice: string;
  readonly counts: SkipCounts = {};

  /**
   * @param skipBroken Whether to leave out what is broken.
   * @param advice What to do about it otherwise.
   */
  constructor(
    file: string,
    skipBroken: SkipBroken,
    advice = brokenAdvice('Correct the file', 'parts', skipBroken),
  ) {
    this.#file = file;
    this.#skip = skipBroken ?? false;
    this.#advice = advice;
  }

  /** @throws FileError unless broken parts are left out. */
  report(kind: string, detail: string): void {
    if (!this.#skip) throw new FileError(this.#file, detail, this.#advice);
    countSkipped(this.counts, kind);
  }
}

export interface RegionFolders {
  /** Folder, or pattern of shards. */
  images: string;
  /** Null for data sets without images of ids. */
  masks: string | null;
}

/**
 * Makes sure that the files a data set names are there, so that an evaluation does not fail after hours.
 *
 * @param skipBroken Leaves out images whose files are missing, and counts them.
 * @returns The data without them.
 * @throws FileError naming the first missing file.
 */
export async function withExistingFiles(
  data: RegionData,
  folders: RegionFolders,
  skipBroken: SkipBroken,
): Promise<RegionData> {
  const skipped = { ...data.skipped };
  const images: AnnotatedImage[] = [];
  for (const image of data.images) {
    const missing = await missingFile(data.annotations, image, folders);
    if (missing === null) images.push(image);
    else if (skipBroken) countSkipped(skipped, missing.reason);
    else
      throw new FileError(
        missing.file,
        `no such file, but ${path.basename(data.annotations)} names it`,
        brokenAdvice('Check the folders', 'images', skipBroken),
      );
  }
  return { ...data, images, skipped };
}

async function missingFile(
  annotations: string,
  { file, member, maskFile }: AnnotatedImage,
  { images, masks }: RegionFolders,
): Promise<{ file: string; reason: string } | null> {
  const image = pathUnder(path.resolve(images), file, annotations);
  if (!member && !(await isFile(image))) return { file: image, reason: 'image missing' };
  if (maskFile === null || masks === null) return null;
  const mask = pathUnder(path.resolve(masks), maskFile, annotations);
  return (await isFile(mask)) ? null : { file: mask, reason: 'mask missing' };
}

const isFile = (file: string): Promise<boolean> =>
  stat(file).then(
    status => status.isFile(),
    () => false,
  );
