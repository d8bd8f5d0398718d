import { hashFile, type ModelFiles, resolveModel } from '../checkpoints/modelFiles.ts';
import { ImageFeatures } from '../dense/imageFeatures.ts';
import { createEngine } from '../engines/createEngine.ts';
import { type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { resolveReference } from '../inspect/modelReference.ts';
import type { ModelReference } from '../inspect/protocol.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';
import { uploadVisionParameters } from '../training/modelParameters.ts';

/** A model ready to look at images. Dispose of it when done. */
export interface OpenTower {
  model: ModelFiles;
  features: ImageFeatures;
  dispose(): Promise<void>;
}

/** Loads a model's image tower onto an engine. */
export async function openTower(
  modelPath: string,
  arch: string | null,
  engineName: string,
  threads: number,
): Promise<OpenTower> {
  const model = await resolveModel(modelPath, arch);
  return assembleTower(model, engineName, threads, engine =>
    uploadVisionParameters(engine, model.weightsFile),
  );
}

/** The same for a model, the student of a run or one of a run's checkpoints. */
export async function openReference(
  reference: ModelReference,
  engineName: string,
  threads: number,
): Promise<OpenTower> {
  const { files, upload } = await resolveReference(reference, { of: hashFile });
  return assembleTower(files, engineName, threads, upload);
}

async function assembleTower(
  model: ModelFiles,
  engineName: string,
  threads: number,
  upload: (engine: Engine) => Promise<Map<string, DeviceTensor>>,
): Promise<OpenTower> {
  for (const warning of model.warnings) console.error(`warning: ${warning}`);
  const engine = await createEngine(engineName, threads);
  const parameters = await upload(engine);
  const programs = new ProgramCache(engine);
  const interpolations = new PositionInterpolations(engine, model.architecture);
  const tower = new VisionTower(model.architecture, parameters, programs, interpolations);
  const dispose = async (): Promise<void> => {
    interpolations.dispose();
    disposeAll(parameters.values());
    await programs.dispose();
    await engine.dispose();
  };
  return { model, features: new ImageFeatures(engine, tower, model.normalisation), dispose };
}
