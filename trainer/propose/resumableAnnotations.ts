import { createHash } from 'node:crypto';
import type { ImageSource } from '../shards/imageSource.ts';
import { type WrittenCategory, type WrittenImage, writeCoco } from './cocoWriter.ts';
import { nameOf, StoppedError } from './imageWalk.ts';
import { type AnnotationSettings, PartialAnnotations } from './partialAnnotations.ts';

/** What annotations are made of. */
export interface AnnotationWork {
  /** Where they go. */
  out: string;
  description: string;
  categories: readonly WrittenCategory[];
  settings: AnnotationSettings;
  /** The regions of the images that are not done yet, in order. */
  images(done: ReadonlySet<string>): AsyncIterable<WrittenImage>;
  /** Told of every image as it is written, those of before an interruption too. */
  onWritten?: (image: WrittenImage) => void;
}

export type AnnotationOutcome =
  | { state: 'finished'; images: number; regions: number }
  /** Images that are done; the same command goes on with the others. */
  | { state: 'stopped'; done: number };

/**
 * Writes COCO-style annotations. When it is stopped or killed, the images that are done stay in a file beside the
 * output, and the same command goes on after them; the output is the same as without the interruption.
 *
 * @throws FileError when it was begun with other settings, or a file cannot be written.
 */
export async function writeResumably(work: AnnotationWork): Promise<AnnotationOutcome> {
  const partial = await PartialAnnotations.open(work.out, work.settings);
  try {
    for await (const image of work.images(partial.done)) await partial.add(image);
  } catch (error) {
    if (error instanceof StoppedError) return { state: 'stopped', done: partial.done.size };
    throw error;
  } finally {
    await partial.close();
  }
  const written = await writeCoco(work.out, work.description, work.categories, told(partial, work.onWritten));
  await partial.remove();
  return { state: 'finished', ...written };
}

async function* told(
  partial: PartialAnnotations,
  onWritten: AnnotationWork['onWritten'],
): AsyncGenerator<WrittenImage> {
  for await (const image of partial.images()) {
    onWritten?.(image);
    yield image;
  }
}

/** What a command says that was stopped before its end. */
export function reportStopped(out: string, done: number, of: number, json: boolean): void {
  if (json) console.log(JSON.stringify({ state: 'stopped', out, done, images: of }));
  else console.log(`stopped after ${done} of ${of} images; the same command goes on from there`);
}

/** Stands for which images there are: their folder or shards, and their names. */
export function imagesSetting(source: ImageSource): string {
  const { root, files, members } = source;
  const hash = createHash('sha256');
  for (const shard of members?.shards ?? []) hash.update(`${shard}\n`);
  for (const position of files.keys()) hash.update(`${nameOf(source, position)}\n`);
  return `${root} (${files.length}, ${hash.digest('hex').slice(0, 12)})`;
}
