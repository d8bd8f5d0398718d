import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import { type DecodedImage, decodeImageBytes } from '../images/decode.ts';
import { ImageError } from '../images/imageError.ts';
import { readImage } from '../images/imageReader.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { StopSwitch } from '../server.ts';
import { type ImageSource, openImageSource } from '../shards/imageSource.ts';
import { formatDuration } from '../training/progress.ts';

/**
 * Images that annotations are made of, by names that are all different.
 *
 * @throws when there are none, or two members of shards have the same name.
 */
export async function openImages(images: string, log: RunLog): Promise<ImageSource> {
  const source = await openImageSource(images);
  for (const damage of source.damage) log.warn(`left out ${damage}`);
  const seen = new Map<string, number>();
  for (const [position, file] of source.paths.entries()) {
    const other = seen.get(file);
    if (other !== undefined)
      throw new FileError(
        source.files[position]!,
        `it has the name of ${source.files[other]}, and annotations tell images by their names`,
        'Name shards whose members have different names',
      );
    seen.set(file, position);
  }
  return source;
}

/** The name of an image in annotations: its path below the folder, or within its shard. */
export const nameOf = ({ root, paths }: ImageSource, position: number): string =>
  path.relative(root, paths[position]!);

/** The work was stopped before its end. */
export class StoppedError extends Error {
  constructor() {
    super('stopped');
    this.name = 'StoppedError';
  }
}

/** Positions of the images that are not among the names that are `done`. */
export const remainingPositions = (source: ImageSource, done: ReadonlySet<string>): number[] =>
  [...source.files.keys()].filter(position => !done.has(nameOf(source, position)));

/**
 * Goes through positions of images, with progress and remaining time.
 *
 * @throws StoppedError when it was asked to stop.
 */
export function* walkPositions(
  positions: readonly number[],
  { files }: ImageSource,
  log: RunLog,
  stop: StopSwitch,
): Generator<number> {
  const started = performance.now();
  for (const [walked, position] of positions.entries()) {
    if (stop.requested) throw new StoppedError();
    const each = (performance.now() - started) / walked / 1000;
    const left = walked === 0 ? '' : `  ${formatDuration(each * (positions.length - walked))} left`;
    log.progress(`image ${position + 1}/${files.length}${left}`);
    yield position;
  }
}

/**
 * Decodes image after image, with progress and remaining time. Images that cannot be read are named and left out.
 *
 * @param done Names of images that are left out as well: they are done already.
 * @throws StoppedError when it was asked to stop.
 */
export async function* walkImages(
  source: ImageSource,
  log: RunLog,
  stop: StopSwitch,
  done: ReadonlySet<string>,
): AsyncGenerator<{ name: string; position: number; image: DecodedImage }> {
  for (const position of walkPositions(remainingPositions(source, done), source, log, stop)) {
    let image: DecodedImage;
    try {
      image = await decodeImageBytes(source.files[position]!, await readImage(source, position));
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      log.warn(`left out ${error.message}`);
      continue;
    }
    yield { name: nameOf(source, position), position, image };
  }
}
