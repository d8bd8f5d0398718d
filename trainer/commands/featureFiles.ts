/** Features as files: one for each image, and of many images one that says what they were made with. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories } from '../checkpoints/atomicFile.ts';
import { FileError, naming } from '../checkpoints/fileError.ts';
import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { isJsonObject, readJson, writeJson } from '../checkpoints/jsonFile.ts';
import type { ImageFeatures } from '../dense/imageFeatures.ts';
import type { Raster } from '../images/raster.ts';
import type { DenseOptions } from '../models/visionStages.ts';
import type { ImageSource } from '../shards/imageSource.ts';

/** What features depend on, beside the images. */
export interface FeatureSettings {
  /** Identifies the model, hex. */
  model: string;
  size: number;
  readOut: string;
  /** Null: the last block. */
  layer: number | null;
}

const settingsFile = 'features.json';

/**
 * Makes the folder, or makes sure that what lies there was made with the same settings.
 *
 * @throws FileError when it cannot be written or holds other features.
 */
export async function prepareFeatureFolder(folder: string, settings: FeatureSettings): Promise<void> {
  await naming(folder, 'write', () => makeDirectories(path.resolve(folder)));
  const file = path.join(folder, settingsFile);
  const past = (await isFile(file)) ? await readJson(file) : null;
  const present = { schema: 1, ...settings };
  if (past === null) return writeJson(file, present);
  const differing = Object.entries(present).filter(
    ([name, value]) => !isJsonObject(past) || past[name] !== value,
  );
  if (differing.length === 0) return;
  const names = differing.map(([name]) => name).join(', ');
  throw new FileError(
    file,
    `the features there were made with other settings (${names})`,
    'Choose another --out',
  );
}

/**
 * Names of the files, in the order of the images: below the folder as the images lie below theirs; of a member of a shard
 * below the name of the shard.
 *
 * @throws FileError when two images would go to one file.
 */
export function featureFileNames({ files, members, root, paths }: ImageSource, images: string): string[] {
  const names = files.map((_, image) => {
    const inside = path.relative(root, paths[image]!);
    const shard = members ? path.basename(members.shards[members.shardOf[image]!]!, '.tar') : '';
    return path.join(shard, `${inside}.safetensors`);
  });
  const known = new Set<string>();
  for (const [image, name] of names.entries()) {
    if (known.has(name))
      throw new FileError(
        images,
        `two images would go to ${name}: ${files[image]} is the second`,
        'Rename it',
      );
    known.add(name);
  }
  return names;
}

export const isFile = (file: string): Promise<boolean> =>
  stat(file).then(
    status => status.isFile(),
    () => false,
  );

/** The three tensors of an image. */
export async function featureTensors(
  features: ImageFeatures,
  image: Raster,
  size: number,
  options: DenseOptions,
): Promise<Record<'image' | 'dense' | 'valid', HostTensor>> {
  const embedding = await features.crops(image, [[0, 0, image.width, image.height]]);
  const { features: dense, side, valid } = await features.dense(image, size, options);
  const dimension = features.embeddingDimension;
  return {
    image: { shape: [dimension], dtype: 'float32', data: embedding },
    dense: { shape: [side, side, dimension], dtype: 'float32', data: dense },
    valid: { shape: [2], dtype: 'int32', data: Int32Array.of(valid.rows, valid.columns) },
  };
}
