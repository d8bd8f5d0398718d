import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type DecodedImage, decodeImage } from '../images/decode.ts';
import { ImageError } from '../images/imageError.ts';
import { listImages } from '../images/imageFolder.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { StopSwitch } from '../server.ts';
import { formatDuration } from '../training/progress.ts';

/** Images of a folder or a COCO-style JSON, and the folder that their names are relative to. */
export interface ImageSet {
  root: string;
  files: readonly string[];
}

/** @throws when there are none. */
export async function openImages(images: string): Promise<ImageSet> {
  const absolute = path.resolve(images);
  const files = await listImages(absolute);
  const isFolder = (await stat(absolute)).isDirectory();
  return { root: isFolder ? absolute : path.dirname(absolute), files };
}

/** The work was stopped before its end. */
export class StoppedError extends Error {
  constructor() {
    super('stopped');
    this.name = 'StoppedError';
  }
}

/**
 * Decodes image after image, with progress and remaining time. Images that cannot be read are named and left out.
 *
 * @param done Names of images that are left out as well: they are done already.
 * @throws StoppedError when it was asked to stop.
 */
export async function* walkImages(
  { root, files }: ImageSet,
  log: RunLog,
  stop: StopSwitch,
  done: ReadonlySet<string> = new Set(),
): AsyncGenerator<{ name: string; file: string; image: DecodedImage }> {
  const started = performance.now();
  let walked = 0;
  for (const [position, file] of files.entries()) {
    if (done.has(path.relative(root, file))) continue;
    if (stop.requested) throw new StoppedError();
    const each = (performance.now() - started) / walked / 1000;
    const left = walked === 0 ? '' : `  ${formatDuration(each * (files.length - position))} left`;
    log.progress(`image ${position + 1}/${files.length}${left}`);
    walked++;
    let image: DecodedImage;
    try {
      image = await decodeImage(file);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      log.warn(`left out ${error.message}`);
      continue;
    }
    yield { name: path.relative(root, file), file, image };
  }
}
