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

/** A program with weights of its own pays once so many images of one size have come. */
const patience = 4;

/** What the weights of such programs may take of this machine's memory. */
const spareBytes = (): number => (process.constrainedMemory() || os.totalmem()) / 8;

/**
 * An image tower on an engine, which stays with the caller.
 *
 * @param parameters On that engine, by checkpoint name; the tower disposes of them.
 * @param memory Bytes that weights laid out for the processor may take beside them.
 */
export async function loadTower(
  model: ModelFiles,
  engine: Engine,
  parameters: ReadonlyMap<string, DeviceTensor>,
  memory = spareBytes(),
): Promise<LoadedTower> {
  const programs = new ProgramCache(engine);
  const interpolations = new PositionInterpolations(engine, model.architecture);
  const bytes = [...parameters.values()].reduce((sum, tensor) => sum + byteLengthOf(tensor), 0);
  // Two: images, and crops of them.
  const grids = Math.min(2, Math.floor(memory / bytes));
  const frozen = grids > 0 ? new FrozenPrograms(engine, parameters, { patience, grids }) : null;
  const tower = new VisionTower(model.architecture, parameters, programs, interpolations, 'fp32', frozen);
  const dispose = async (): Promise<void> => {
    await frozen?.dispose();
    interpolations.dispose();
    disposeAll(parameters.values());
    await programs.dispose();
  };
  return { model, features: new ImageFeatures(engine, tower, model.normalisation), dispose };
}
