import { hashFile, type ModelFiles } from '../checkpoints/modelFiles.ts';
import { ImageFeatures } from '../dense/imageFeatures.ts';
import { createEngine } from '../engines/createEngine.ts';
import { disposeAll, type Engine } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { type ResolvedModel, resolveReference } from '../inspect/modelReference.ts';
import type { ModelReference } from '../inspect/protocol.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';

/** A model ready to look at images. Dispose of it when done. */
export interface OpenTower {
  model: ModelFiles;
  features: ImageFeatures;
  dispose(): Promise<void>;
}

/** Loads the image tower of a model, of the student of a run or of one of a run's checkpoints onto an engine. */
export async function openReference(
  reference: ModelReference,
  engineName: string,
  threads: number,
): Promise<OpenTower> {
  const resolved = await resolveReference(reference, { of: hashFile });
  for (const warning of resolved.files.warnings) console.error(`warning: ${warning}`);
  const engine = await createEngine(engineName, threads);
  const tower = await openOnEngine(resolved, engine);
  const dispose = async (): Promise<void> => {
    await tower.dispose();
    await engine.dispose();
  };
  return { ...tower, dispose };
}

/** Loads the image tower of a model that was found onto an engine, which stays with the caller. */
export async function openOnEngine(
  { files: model, upload }: Pick<ResolvedModel, 'files' | 'upload'>,
  engine: Engine,
): Promise<OpenTower> {
  const parameters = await upload(engine);
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
