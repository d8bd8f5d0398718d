import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { checkVisionTensors, type VisionArchitecture } from '../models/architecture.ts';
import { withCheckpoint } from './checkpoint.ts';
import type { Checkpoint, CheckpointHeader } from './checkpointTypes.ts';
import { FileError, naming, systemErrorCode } from './fileError.ts';
import { isHuggingFaceConfiguration, readHuggingFaceConfiguration } from './huggingFaceConfiguration.ts';
import { checkLayout, inferArchitecture } from './inferArchitecture.ts';
import { readJson } from './jsonFile.ts';
import { knownArchitectures } from './knownArchitectures.ts';
import {
  clipNormalisation,
  type ModelConfiguration,
  type Normalisation,
  parseOpenClipConfiguration,
  readOpenClipConfiguration,
} from './openClipConfiguration.ts';

/** A model found on disk: the weights and what is needed to run them. */
export interface ModelFiles {
  /** Absolute path of the weights, or of the index of weights in several files. */
  readonly weightsFile: string;
  /** The files that hold the numbers. */
  readonly files: readonly string[];
  /** What the weights hold, under OpenCLIP's names. */
  readonly header: CheckpointHeader;
  readonly architecture: VisionArchitecture;
  /** False when the activation of the text tower was assumed; that of the image tower never is. */
  readonly activationKnown: boolean;
  readonly normalisation: Normalisation;
  /** Where each of these was found, in words: paths, or how it was told. */
  readonly sourceNames: {
    readonly weights: string;
    readonly architecture: string;
    readonly normalisation: string;
  };
  /** What the user should know about the choices made; often empty. */
  readonly warnings: readonly string[];
}

/** Key of the safetensors metadata under which a file carries its own `open_clip_config.json`. */
export const configurationMetadataKey = 'open_clip_config';

const configurationName = 'open_clip_config.json';
async function exists(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return false;
    throw error;
  }
}

interface Choice extends ModelConfiguration {
  architectureSource: string;
  normalisationSource: string;
  activationKnown: boolean;
  warnings: string[];
}

function fromConfiguration(configuration: ModelConfiguration, source: string): Choice {
  return {
    ...configuration,
    architectureSource: source,
    normalisationSource: source,
    activationKnown: true,
    warnings: [],
  };
}

/** `--arch`: a known name (`ViT-B/16` is understood as `ViT-B-16`), or the path of an `open_clip_config.json`. */
async function fromArchOption(arch: string): Promise<Choice> {
  const known = knownArchitectures.get(arch) ?? knownArchitectures.get(arch.replaceAll('/', '-'));
  if (known !== undefined) {
    const configuration = { architecture: known, normalisation: clipNormalisation };
    return {
      ...fromConfiguration(configuration, `--arch ${arch}`),
      normalisationSource: "OpenAI CLIP's values",
    };
  }
  if (arch.endsWith('.json'))
    return fromConfiguration(await readOpenClipConfiguration(arch), path.resolve(arch));
  throw new FileError(
    arch,
    'not a known architecture',
    `Known are ${[...knownArchitectures.keys()].join(', ')}; anything else needs the path of an open_clip_config.json`,
  );
}

function fromMetadata(header: CheckpointHeader): Choice | undefined {
  const text = header.metadata[configurationMetadataKey];
  if (text === undefined) return undefined;
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    const advice = 'Pass --arch with a known name or the path of an open_clip_config.json';
    throw new FileError(header.file, `its metadata '${configurationMetadataKey}' is not valid JSON`, advice, {
      cause: error,
    });
  }
  return fromConfiguration(parseOpenClipConfiguration(content, header.file), `metadata of ${header.file}`);
}

/** A Hugging Face `config.json` beside the weights; undefined when there is none, or another file of that name. */
async function fromHuggingFace(directory: string): Promise<Choice | undefined> {
  const file = path.join(directory, 'config.json');
  if (!(await exists(file)) || !isHuggingFaceConfiguration(await readJson(file))) return undefined;
  return fromConfiguration(await readHuggingFaceConfiguration(file), file);
}

async function chooseConfiguration(header: CheckpointHeader, arch: string | null): Promise<Choice> {
  if (arch !== null) return fromArchOption(arch);
  const directory = path.dirname(header.file);
  const own = fromMetadata(header);
  if (own !== undefined) return own;
  const beside = path.join(directory, configurationName);
  if (await exists(beside)) return fromConfiguration(await readOpenClipConfiguration(beside), beside);
  const huggingFace = await fromHuggingFace(directory);
  if (huggingFace !== undefined) return huggingFace;
  checkLayout(header);
  return {
    ...inferArchitecture(header),
    normalisation: clipNormalisation,
    architectureSource: 'shapes of the tensors',
    normalisationSource: "OpenAI CLIP's values",
  };
}

/**
 * Finds what `--model` and `--arch` mean. The architecture comes from, in this order: `--arch`, the configuration in
 * the file's own metadata, an `open_clip_config.json` or a Hugging Face `config.json` beside the weights, the shapes of
 * the tensors.
 *
 * @param model Weights file, or a folder holding one.
 * @param arch Known name or path of an `open_clip_config.json`; null when the model itself tells.
 * @throws FileError when anything is missing, unsupported or does not fit together.
 */
export async function resolveModel(model: string, arch: string | null = null): Promise<ModelFiles> {
  const header = await readCheckpointHeader(model);
  const weightsFile = header.file;
  const choice = await chooseConfiguration(header, arch);
  checkLayout(header);
  checkVisionTensors(header.tensors, choice.architecture, weightsFile);
  const { architecture, activationKnown, normalisation, warnings } = choice;
  const sourceNames = {
    weights: weightsFile,
    architecture: choice.architectureSource,
    normalisation: choice.normalisationSource,
  };
  const found = { weightsFile, files: header.files, header };
  return { ...found, architecture, activationKnown, normalisation, sourceNames, warnings };
}

/** What a checkpoint holds; nothing stays open. */
function readCheckpointHeader(model: string): Promise<Omit<Checkpoint, 'read' | 'dispose'>> {
  return withCheckpoint(model, {}, async ({ file, files, packaging, tensors, metadata }) => ({
    file,
    files,
    packaging,
    tensors,
    metadata,
  }));
}

/**
 * SHA-256 of a model's weights: of the file, or of the hashes of several files in the order of their names.
 *
 * @param hashOf SHA-256 of one file, for who remembers them.
 */
export async function hashWeights(
  { files }: Pick<ModelFiles, 'files'>,
  hashOf: (file: string) => Promise<string> = hashFile,
): Promise<string> {
  if (files.length === 1) return hashOf(files[0]!);
  const hash = createHash('sha256');
  for (const file of files) hash.update(await hashOf(file));
  return hash.digest('hex');
}

/** SHA-256 of a file's content as hex digits, read as a stream. */
export async function hashFile(file: string): Promise<string> {
  return naming(file, 'read', async () => {
    const hash = createHash('sha256');
    for await (const piece of createReadStream(file, { highWaterMark: 1 << 20 }))
      hash.update(piece as Buffer);
    return hash.digest('hex');
  });
}
