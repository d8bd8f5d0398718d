/** What a run trains on instead of grid patches: boxes of a file, and the nouns that label them. */
import { createHash } from 'node:crypto';
import { withCheckpoint } from '../checkpoints/checkpoint.ts';
import { FileError } from '../checkpoints/fileError.ts';
import { hashFile, type ModelFiles } from '../checkpoints/modelFiles.ts';
import type { Nouns } from '../distill/nounTargets.ts';
import type { Engine } from '../engines/engine.ts';
import { type FoundWords, findWords } from '../evaluate/words.ts';
import { type RegionStore, regionCount } from '../images/regionStore.ts';
import type { TrainingSettings } from '../protocol.ts';
import type { ImageSource } from '../shards/imageSource.ts';
import { readCocoRegions, readPlainRegions } from './regionFiles.ts';
import { SettingError } from './settings.ts';

/** Settings that name files of the regions. */
export const regionPaths = ['boxes', 'embeddings', 'prompts'] as const;

export interface PlannedRegions {
  /** Boxes by the position of their image among all images of the run. */
  store: RegionStore;
  /** Words for the classes of the boxes; null where regions are compared with the teacher. */
  words: FoundWords | null;
  /** exp(logit_scale) of the model, where there are words. */
  temperature: number;
  /** Of every file that the training depends on. */
  hash: string;
}

/**
 * Reads the boxes of a run and finds the words for their classes, so that mistakes are found before it trains.
 *
 * @param source All images of the run.
 * @returns null for grid patches.
 * @throws FileError when a file is missing or broken; SettingError when the model has no temperature.
 */
export async function planRegions(
  settings: TrainingSettings,
  { root, paths }: Pick<ImageSource, 'root' | 'paths'>,
  model: ModelFiles,
  modelHash: string,
): Promise<PlannedRegions | null> {
  const { method, regions, boxes, embeddings, prompts } = settings;
  if (regions === 'grid' || boxes === null) return null;
  const labelled = method === 'regionclip';
  const read = regions === 'proposals' ? readCocoRegions : readPlainRegions;
  const { store, classes, sha256 } = await read({ file: boxes, imageRoot: root, images: paths, labelled });
  const hash = createHash('sha256').update(sha256);
  for (const file of [embeddings, prompts]) if (file !== null) hash.update(await hashFile(file));
  const planned = { store, hash: hash.digest('hex') };
  if (!classes) return { ...planned, words: null, temperature: Number.NaN };
  const reading = { files: model, hash: modelHash, source: null };
  const words = await findWords({ embeddings, prompts }, classes, reading);
  return { ...planned, words, temperature: await readTemperature(model.weightsFile) };
}

/** Embeds the nouns of a run; null where regions are compared with the teacher. */
export async function loadNouns(
  engine: Engine,
  planned: PlannedRegions | null,
  seed: number,
): Promise<Nouns | null> {
  if (!planned?.words) return null;
  const { data } = await planned.words.load(engine);
  return { embeddings: data, temperature: planned.temperature, seed };
}

/** Positions of the images that can be trained on: all of them, or those with labelled regions. */
export function trainablePositions(files: readonly string[], planned: PlannedRegions | null): number[] {
  const all = [...files.keys()];
  return planned?.words ? all.filter(image => regionCount(planned.store, image) > 0) : all;
}

/** Images without any box train on a part of themselves, as published: many of them are a mistake in the names. */
export function regionWarnings(files: readonly string[], planned: PlannedRegions | null): string[] {
  if (!planned || planned.words) return [];
  const without = files.filter((_, image) => regionCount(planned.store, image) === 0).length;
  return without === 0
    ? []
    : [`${without} of ${files.length} images have no box: each trains on its upper left quarter a side`];
}

/**
 * exp(logit_scale) of a model, rounded to float32.
 *
 * @throws FileError when it has none.
 */
export async function readTemperature(weightsFile: string): Promise<number> {
  return withCheckpoint(weightsFile, {}, async checkpoint => {
    if (!checkpoint.tensors.has('logit_scale'))
      throw new FileError(
        weightsFile,
        'it has no logit_scale, the temperature that cosines with nouns are scaled by',
        'Choose a whole CLIP model',
      );
    const { data } = await checkpoint.read('logit_scale', { asFloat32: true });
    const temperature = Math.fround(Math.exp(Number(data[0])));
    if (Number.isFinite(temperature)) return temperature;
    throw new FileError(weightsFile, 'its logit_scale is not finite', 'Choose another model');
  });
}

/** @throws SettingError for settings that do not go together. */
export function checkRegionSettings(settings: TrainingSettings): void {
  const { method, regions, boxes, embeddings, prompts, cosineWeight, teacherCacheMib } = settings;
  const refuse = (message: string): never => {
    throw new SettingError(message);
  };
  if (regions === 'grid' && boxes !== null)
    refuse('--boxes needs --regions proposals or --regions boxes-file');
  if (regions !== 'grid' && boxes === null) refuse(`--regions ${regions} needs --boxes FILE`);
  if (teacherCacheMib > 0 && regions === 'grid')
    refuse('--teacher-cache needs --regions proposals or boxes-file: a grid is drawn anew in each epoch');
  if (method === 'regionclip') {
    if (teacherCacheMib > 0) refuse('--teacher-cache belongs to --method clipself');
    if (regions === 'grid')
      refuse('--method regionclip needs --regions proposals and --boxes with categories');
    if (embeddings !== null && prompts !== null) refuse('--embeddings and --prompts exclude each other');
    if (cosineWeight !== 1) refuse('--cosine-weight belongs to --method clipself');
    return;
  }
  if ((embeddings ?? prompts) !== null) refuse('--embeddings and --prompts belong to --method regionclip');
}
