import { modelPath } from '../checkpoints/modelsFolder.ts';
import { decodeImage } from '../images/decode.ts';
import type { Raster } from '../images/raster.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { DenseOptions, DenseReadOut } from '../models/visionStages.ts';
import { checkSize, SettingError } from '../training/settings.ts';
import type { ImageOptions } from './imageOptions.ts';
import { type OpenTower, openReference } from './openTower.ts';

/** A loaded model and the image it is to look at. */
export interface ImageSubject {
  tower: OpenTower;
  image: Raster;
  /** Longest side of the image as the model sees it, pixels. */
  size: number;
}

/** Loads the model, checks size and layer against it, decodes the image, and lets go of the model after `work`. */
export async function withImage<T>(
  options: ImageOptions<string>,
  work: (subject: ImageSubject) => Promise<T>,
): Promise<T> {
  const reference = {
    path: await modelPath(options.model),
    arch: options.arch,
    step: options.step,
    blend: null,
  };
  const tower = await openReference(reference, options.engine, options.threads);
  try {
    const size = checkedSize(options.size, options.layer, tower.model.architecture);
    return await work({ tower, image: await decodeImage(options.image), size });
  } finally {
    await tower.dispose();
  }
}

/**
 * Longest side of the image as the model sees it, pixels; twice the pretraining size when none was asked for.
 *
 * @throws SettingError when size or layer do not fit the model.
 */
export function checkedSize(
  asked: number | null,
  layer: number | null,
  architecture: VisionArchitecture,
): number {
  const { imageSize, layers } = architecture;
  const size = asked ?? 2 * imageSize;
  checkSize(size, architecture);
  if (layer !== null && layer > layers)
    throw new SettingError(`--layer takes 1 to ${layers} for this model; got ${layer}`);
  return size;
}

/** What `dense` takes of the options. */
export const denseOptions = (readOut: DenseReadOut, layer: number | null): DenseOptions => ({
  readOut,
  ...(layer === null ? {} : { layer }),
});
