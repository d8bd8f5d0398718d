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

/** The work was stopped; nothing is left of it. */
export class StoppedError extends Error {
  constructor() {
    super('stopped; nothing was written');
    this.name = 'StoppedError';
  }
}

/**
 * Decodes image after image, with progress and remaining time. Images that cannot be read are named and left out.
 *
 * @throws StoppedError when it was asked to stop.
 */
export async function* walkImages(
  { root, files }: ImageSet,
  log: RunLog,
  stop: StopSwitch,
): AsyncGenerator<{ name: string; file: string; image: DecodedImage }> {
  const started = performance.now();
  for (const [done, file] of files.entries()) {
    if (stop.requested) throw new StoppedError();
    const left = done === 0 ? null : ((performance.now() - started) / done / 1000) * (files.length - done);
    log.progress(`image ${done + 1}/${files.length}${left === null ? '' : `  ${formatDuration(left)} left`}`);
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
