import os from 'node:os';
import type { ModelFiles } from '../checkpoints/modelFiles.ts';
import { byteLengthOf, type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { FrozenPrograms } from '../models/frozenPrograms.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';
import { ImageFeatures } from './imageFeatures.ts';

/** A model ready to look at images. Dispose of it when done. */
export interface LoadedTower {
  model: ModelFiles;
  features: ImageFeatures;
  dispose(): Promise<void>;
}

/**
 * From so many images on programs with weights of their own pay: those of ViT-B/16 take 0.4 to 0.75 s to make, and save
 * 30 to 80 ms of an image of 448 px.
 */
const manyImages = 20;

/** What the weights of such programs may take of this machine's memory. */
const spareBytes = (): number => (process.constrainedMemory() || os.totalmem()) / 8;

/**
 * An image tower on an engine, which stays with the caller.
 *
 * @param parameters On that engine, by checkpoint name; the tower disposes of them.
 * @param images How many it will see, all of one size; 0 where sizes differ, and where the last digits of what it makes
 * of an image must not depend on whether there are many.
 */
export async function loadTower(
  model: ModelFiles,
  engine: Engine,
  parameters: ReadonlyMap<string, DeviceTensor>,
  images = 0,
): Promise<LoadedTower> {
  const programs = new ProgramCache(engine);
  const interpolations = new PositionInterpolations(engine, model.architecture);
  const bytes = [...parameters.values()].reduce((sum, tensor) => sum + byteLengthOf(tensor), 0);
  const pays = images >= manyImages && bytes <= spareBytes();
  const frozen = pays ? new FrozenPrograms(engine, parameters) : null;
  const tower = new VisionTower(model.architecture, parameters, programs, interpolations, 'fp32', frozen);
  const dispose = async (): Promise<void> => {
    await frozen?.dispose();
    interpolations.dispose();
    disposeAll(parameters.values());
    await programs.dispose();
  };
  return { model, features: new ImageFeatures(engine, tower, model.normalisation), dispose };
}
