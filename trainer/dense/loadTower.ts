import type { ModelFiles } from '../checkpoints/modelFiles.ts';
import { type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';
import { ImageFeatures } from './imageFeatures.ts';

/** A model ready to look at images. Dispose of it when done. */
export interface LoadedTower {
  model: ModelFiles;
  features: ImageFeatures;
  dispose(): Promise<void>;
}

/**
 * An image tower on an engine, which stays with the caller.
 *
 * @param parameters On that engine, by checkpoint name; the tower disposes of them.
 */
export async function loadTower(
  model: ModelFiles,
  engine: Engine,
  parameters: ReadonlyMap<string, DeviceTensor>,
): Promise<LoadedTower> {
  const programs = new ProgramCache(engine);
  const interpolations = new PositionInterpolations(engine, model.architecture);
  const tower = new VisionTower(model.architecture, parameters, programs, interpolations);
  const dispose = async (): Promise<void> => {
    interpolations.dispose();
    disposeAll(parameters.values());
    await programs.dispose();
  };
  return { model, features: new ImageFeatures(engine, tower, model.normalisation), dispose };
}
