import type { VisionArchitecture } from '../models/architecture.ts';
import { configurationAdvice, Fields, type Triple } from './configurationFields.ts';
import { FileError } from './fileError.ts';
import { isJsonObject, readJson } from './jsonFile.ts';
import { knownName } from './knownArchitectures.ts';
import { parseTextConfiguration, toTextConfiguration } from './textConfiguration.ts';
import { parseVisionConfiguration, toVisionConfiguration } from './visionConfiguration.ts';

/** Mean and standard deviation per colour channel (red, green, blue), for pixels in 0 … 1. */
export interface Normalisation {
  readonly mean: Triple;
  readonly std: Triple;
}

/** The values of OpenAI's CLIP, which all published CLIPSelf models use. */
export const clipNormalisation: Normalisation = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};

export interface ModelConfiguration {
  readonly architecture: VisionArchitecture;
  readonly normalisation: Normalisation;
}

/**
 * Reads the content of an `open_clip_config.json`; a bare `model_cfg`, as OpenCLIP keeps its own, will do too.
 * Missing sizes take OpenCLIP's defaults.
 *
 * @param file Named in errors.
 * @throws FileError naming the field that is missing, wrong or asks for something this version cannot compute.
 */
export function parseOpenClipConfiguration(content: unknown, file: string): ModelConfiguration {
  if (!isJsonObject(content)) throw new FileError(file, 'it must hold a JSON object', configurationAdvice);
  const root = new Fields(file, '', content);
  const model =
    root.value('model_cfg') === undefined && isJsonObject(content.vision_cfg)
      ? root
      : root.object('model_cfg');
  const quickGelu = model.value('quick_gelu');
  if (quickGelu !== undefined && typeof quickGelu !== 'boolean')
    model.fail('quick_gelu', 'must be true or false');
  const vision = parseVisionConfiguration(model);
  const found = { ...vision, name: null, text: parseTextConfiguration(model) };
  const architecture: VisionArchitecture = { ...found, name: knownName(found) };
  return { architecture, normalisation: parseNormalisation(root) };
}

function parseNormalisation(root: Fields): Normalisation {
  if (!isJsonObject(root.value('preprocess_cfg'))) return clipNormalisation;
  const preprocess = root.object('preprocess_cfg');
  const mean =
    preprocess.value('mean') === undefined ? clipNormalisation.mean : preprocess.triple('mean', -255);
  const std = preprocess.value('std') === undefined ? clipNormalisation.std : preprocess.triple('std', 1e-6);
  return { mean, std };
}

/**
 * Reads an `open_clip_config.json` (see `parseOpenClipConfiguration`).
 *
 * @throws FileError
 */
export async function readOpenClipConfiguration(file: string): Promise<ModelConfiguration> {
  return parseOpenClipConfiguration(await readJson(file), file);
}

/** The content of an `open_clip_config.json` that reads back as this configuration. */
export function toOpenClipConfiguration({
  architecture,
  normalisation,
}: ModelConfiguration): Record<string, unknown> {
  return {
    model_cfg: {
      embed_dim: architecture.embeddingDimension,
      ...(architecture.activation === 'quickGelu' ? { quick_gelu: true } : {}),
      vision_cfg: toVisionConfiguration(architecture),
      ...toTextConfiguration(architecture.text),
    },
    preprocess_cfg: { mean: normalisation.mean, std: normalisation.std },
  };
}
