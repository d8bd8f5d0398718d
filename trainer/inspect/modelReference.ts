import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FileError, naming } from '../checkpoints/fileError.ts';
import { readJson } from '../checkpoints/jsonFile.ts';
import { hashWeights, type ModelFiles, resolveModel } from '../checkpoints/modelFiles.ts';
import { readSafetensors } from '../checkpoints/safetensors.ts';
import { blend } from '../distill/blend.ts';
import { type DeviceTensor, disposeAll, type Engine, readFloats } from '../engines/engine.ts';
import { formatShape, sameShape } from '../graph/shape.ts';
import type { RunConfiguration } from '../protocol.ts';
import { type Checkpoint, CheckpointStore } from '../runs/checkpointStore.ts';
import { isFineTuning, parseRunConfiguration } from '../runs/runConfiguration.ts';
import { type RunFiles, runFiles } from '../runs/runDirectory.ts';
import { uploadVisionParameters } from '../training/modelParameters.ts';
import type { FileHashes } from './fileHashes.ts';
import type { ModelReference } from './protocol.ts';

/** SHA-256 of files; whoever looks once needs no memory of them. */
export type Hashes = Pick<FileHashes, 'of'>;

/** A model that a reference means, found but not loaded. */
export interface FoundModel {
  /** Architecture, normalisation and warnings; for a checkpoint those of the run's source model. */
  files: ModelFiles;
  /** Identifies everything that its features depend on, hex. Reads all weights: a third of a second for ViT-B/16. */
  identify(): Promise<string>;
  /** Checkpoints of the run, ascending. */
  steps: number[];
  /** The checkpoint that was chosen; null when it is none. */
  step: number | null;
  /** What the run started from; null for a model that is no run. */
  source: ModelReference | null;
  /** The image tower's parameters on an engine, float32, by checkpoint name. */
  upload(engine: Engine): Promise<Map<string, DeviceTensor>>;
}

/** A model that a reference means, with what identifies it. */
export interface ResolvedModel extends Omit<FoundModel, 'identify'> {
  hash: string;
}

/**
 * Finds the model that a reference means, and identifies it.
 *
 * @throws FileError when it is missing, damaged or unsupported.
 */
export async function resolveReference(reference: ModelReference, hashes: Hashes): Promise<ResolvedModel> {
  const { identify, ...model } = await findModel(reference, hashes);
  return { ...model, hash: await identify() };
}

/**
 * Finds the model that a reference means, for who need not name it. The weights that a run started from are read for
 * one of its checkpoints all the same, to see that they are still those.
 *
 * @throws FileError when it is missing, damaged or unsupported.
 */
export async function findModel(reference: ModelReference, hashes: Hashes): Promise<FoundModel> {
  const run = await findRun(reference.path);
  if (run) return resolveRun(reference, run, hashes);
  if (reference.step !== null)
    throw new FileError(
      reference.path,
      `it is no run directory and has no step ${reference.step}`,
      'Check the path',
    );
  return wholeModel(await resolveModel(reference.path, reference.arch), hashes);
}

interface Run {
  files: RunFiles;
  configuration: RunConfiguration;
}

/** The run in a directory; null when the path is something else. */
async function findRun(directory: string): Promise<Run | null> {
  const isDirectory = await naming(directory, 'read', async () => (await stat(directory)).isDirectory());
  if (!isDirectory) return null;
  const files = runFiles(directory);
  // Model folders of other tools have a config.json too.
  const content = await readJson(files.configuration).catch(() => null);
  // The directory of a pre-training is a model folder as it stands.
  if (!isFineTuning(content)) return null;
  return { files, configuration: parseRunConfiguration(content, files.configuration) };
}

function wholeModel(files: ModelFiles, hashes: Hashes): FoundModel {
  return {
    files,
    identify: async () => identity(files, [await hashWeights(files, file => hashes.of(file))]),
    steps: [],
    step: null,
    source: null,
    upload: engine => uploadVisionParameters(engine, files.weightsFile),
  };
}

async function resolveRun(reference: ModelReference, run: Run, hashes: Hashes): Promise<FoundModel> {
  const { files, configuration } = run;
  const { model, arch, blend: runBlend } = configuration.settings;
  const source: ModelReference = { path: model, arch, step: null, blend: null };
  const checkpoints = (await new CheckpointStore(files.checkpoints, 1, () => undefined).list()).reverse();
  const steps = checkpoints.map(({ step }) => step);
  if (reference.step === null && (await isFile(files.student))) {
    const student = wholeModel(await resolveModel(files.student, reference.arch), hashes);
    return { ...student, steps, source };
  }
  const chosen =
    reference.step === null ? checkpoints.at(-1) : checkpoints.find(({ step }) => step === reference.step);
  if (!chosen) throw missingStep(run, reference.step, steps);
  const alpha = reference.step === null ? runBlend : (reference.blend ?? 1);
  const resolved = await checkpointModel(run, chosen, alpha, hashes);
  return { ...resolved, steps, source };
}

function missingStep({ files }: Run, step: number | null, steps: readonly number[]): FileError {
  if (steps.length === 0)
    return new FileError(files.directory, 'the run has saved nothing yet', 'Wait for its first checkpoint');
  const reason = `the run has no checkpoint of step ${step}`;
  return new FileError(files.directory, reason, `It has those of ${steps.join(', ')}`);
}

/** A checkpoint holds the trained tensors alone; the others are the source model's. */
async function checkpointModel(
  { files, configuration }: Run,
  { step, directory }: Checkpoint,
  alpha: number,
  hashes: Hashes,
): Promise<FoundModel> {
  const { model, arch } = configuration.settings;
  const source = await resolveModel(model, arch);
  const sourceHash = await hashWeights(source, file => hashes.of(file));
  if (sourceHash !== configuration.modelHash) {
    const reason = `it is no longer the model that the run in ${files.directory} started from`;
    throw new FileError(source.weightsFile, reason, 'Restore it to look at checkpoints of the run');
  }
  const trained = path.join(directory, 'student.safetensors');
  return {
    files: source,
    identify: async () => identity(source, [sourceHash, await hashes.of(trained), alpha]),
    steps: [],
    step,
    source: null,
    upload: engine => uploadCheckpoint(engine, source.weightsFile, trained, alpha),
  };
}

/** The raw student when α is 1, else the blend of every tensor, as the run itself writes its `student.safetensors`. */
async function uploadCheckpoint(
  engine: Engine,
  sourceFile: string,
  trainedFile: string,
  alpha: number,
): Promise<Map<string, DeviceTensor>> {
  const { tensors: trained } = await readSafetensors(trainedFile, { asFloat32: true });
  const parameters = await uploadVisionParameters(engine, sourceFile);
  try {
    for (const [name, { shape }] of trained) {
      if (sameShape(parameters.get(name)?.shape ?? [], shape)) continue;
      const reason = `its tensor '${name}' ${formatShape(shape)} is none of ${sourceFile}`;
      throw new FileError(trainedFile, reason, 'The checkpoint is of another model: remove it');
    }
    for (const [name, original] of [...parameters]) {
      const own = trained.get(name)?.data;
      if (alpha === 1 && !own) continue;
      const before = await readFloats(engine, original);
      const student = own instanceof Float32Array ? own : before;
      parameters.set(
        name,
        engine.upload(original.shape, alpha === 1 ? student : blend(student, before, alpha)),
      );
      original.dispose();
    }
    return parameters;
  } catch (error) {
    disposeAll(parameters.values());
    throw error;
  }
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    status => status.isFile(),
    () => false,
  );
}

/** Weights alone do not tell: another architecture or normalisation gives other features. */
function identity(
  { architecture, normalisation }: ModelFiles,
  weights: readonly (string | number)[],
): string {
  const { text: _text, ...vision } = architecture;
  return createHash('sha256')
    .update(JSON.stringify([weights, vision, normalisation]))
    .digest('hex');
}
