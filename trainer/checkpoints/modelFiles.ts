import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { checkVisionTensors, type VisionArchitecture } from '../models/architecture.ts';
import { FileError, naming, systemErrorCode } from './fileError.ts';
import { checkLayout, inferArchitecture } from './inferArchitecture.ts';
import { isJsonObject, readJson } from './jsonFile.ts';
import { knownArchitectures } from './knownArchitectures.ts';
import {
  clipNormalisation,
  type ModelConfiguration,
  type Normalisation,
  parseOpenClipConfiguration,
  readOpenClipConfiguration,
} from './openClipConfiguration.ts';
import { readSafetensorsHeader, type SafetensorsHeader } from './safetensors.ts';

/** A model found on disk: the weights and what is needed to run them. */
export interface ModelFiles {
  /** Absolute path of the weights. */
  readonly weightsFile: string;
  /** Validated header of the weights file. */
  readonly header: SafetensorsHeader;
  readonly architecture: VisionArchitecture;
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
/** Names under which model hubs keep the one file that matters, best first. */
const weightsNames = [
  'open_clip_model.safetensors',
  'model.safetensors',
  'student.safetensors',
  'weights.safetensors',
];
const pickleEndings = new Set(['.pt', '.pth', '.bin', '.ckpt']);
const convertCommand =
  "python -c \"import sys, torch, safetensors.torch as s; d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); " +
  "d = d.get('state_dict', d); s.save_file({k.removeprefix('module.'): v.contiguous().clone() for k, v in d.items() if torch.is_tensor(v)}, sys.argv[2])\"";

function refusePickle(file: string): never {
  throw new FileError(
    file,
    'this version reads .safetensors weights, not PyTorch pickles',
    `Download the model's .safetensors file or convert it: ${convertCommand} ${JSON.stringify(file)} model.safetensors`,
  );
}

async function exists(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return false;
    throw error;
  }
}

/** The weights file of a model folder. */
async function weightsIn(directory: string): Promise<string> {
  const names = (await readdir(directory)).sort();
  const usual = weightsNames.find(name => names.includes(name));
  if (usual !== undefined) return path.join(directory, usual);
  const found = names.filter(name => name.endsWith('.safetensors'));
  if (found.length === 1) return path.join(directory, found[0]!);
  if (found.length > 1) {
    const some = found.slice(0, 4).join(', ');
    throw new FileError(
      directory,
      `it holds ${found.length} .safetensors files (${some}, …)`,
      'Name the file itself',
    );
  }
  const pickle = names.find(name => pickleEndings.has(path.extname(name)));
  if (pickle !== undefined) refusePickle(path.join(directory, pickle));
  throw new FileError(
    directory,
    'it holds no .safetensors weights',
    'Check the path or name the weights file itself',
  );
}

async function locateWeights(model: string): Promise<string> {
  const resolved = path.resolve(model);
  return naming(resolved, 'read', async () => {
    const isDirectory = (await stat(resolved)).isDirectory();
    const weights = isDirectory ? await weightsIn(resolved) : resolved;
    if (pickleEndings.has(path.extname(weights).toLowerCase())) refusePickle(weights);
    return weights;
  });
}

interface Choice extends ModelConfiguration {
  architectureSource: string;
  normalisationSource: string;
  warnings: string[];
}

function fromConfiguration(configuration: ModelConfiguration, source: string): Choice {
  return { ...configuration, architectureSource: source, normalisationSource: source, warnings: [] };
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

function fromMetadata(header: SafetensorsHeader): Choice | undefined {
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

async function refuseHuggingFace(directory: string): Promise<void> {
  const file = path.join(directory, 'config.json');
  if (!(await exists(file))) return;
  const content = await readJson(file);
  if (isJsonObject(content) && typeof content.model_type === 'string') {
    const reason = `a Hugging Face configuration (model_type '${content.model_type.slice(0, 60)}') is not supported yet`;
    throw new FileError(
      file,
      reason,
      'Download the OpenCLIP version of the model, the one with an open_clip_config.json',
    );
  }
}

async function chooseConfiguration(header: SafetensorsHeader, arch: string | null): Promise<Choice> {
  if (arch !== null) return fromArchOption(arch);
  const directory = path.dirname(header.file);
  const own = fromMetadata(header);
  if (own !== undefined) return own;
  const beside = path.join(directory, configurationName);
  if (await exists(beside)) return fromConfiguration(await readOpenClipConfiguration(beside), beside);
  await refuseHuggingFace(directory);
  checkLayout(header);
  const { architecture, warnings } = inferArchitecture(header);
  return {
    architecture,
    normalisation: clipNormalisation,
    architectureSource: 'shapes of the tensors',
    normalisationSource: "OpenAI CLIP's values",
    warnings,
  };
}

/**
 * Finds what `--model` and `--arch` mean. The architecture comes from, in this order: `--arch`, the configuration in
 * the file's own metadata, an `open_clip_config.json` beside the weights, the shapes of the tensors.
 *
 * @param model Weights file, or a folder holding one.
 * @param arch Known name or path of an `open_clip_config.json`; null when the model itself tells.
 * @throws FileError when anything is missing, unsupported or does not fit together.
 */
export async function resolveModel(model: string, arch: string | null = null): Promise<ModelFiles> {
  const weightsFile = await locateWeights(model);
  const header = await readSafetensorsHeader(weightsFile);
  const choice = await chooseConfiguration(header, arch);
  checkLayout(header);
  checkVisionTensors(header.tensors, choice.architecture, weightsFile);
  const { architecture, normalisation, warnings } = choice;
  const sourceNames = {
    weights: weightsFile,
    architecture: choice.architectureSource,
    normalisation: choice.normalisationSource,
  };
  return { weightsFile, header, architecture, normalisation, sourceNames, warnings };
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
