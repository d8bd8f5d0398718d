import { createHash } from 'node:crypto';
import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { writeJson } from '../checkpoints/jsonFile.ts';
import { configurationMetadataKey } from '../checkpoints/modelFiles.ts';
import {
  clipNormalisation,
  type ModelConfiguration,
  parseOpenClipConfiguration,
  readOpenClipConfiguration,
  toOpenClipConfiguration,
} from '../checkpoints/openClipConfiguration.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { version } from '../version.ts';
import type { DualEncoder } from './dualEncoder.ts';
import { longestSentence, type WorldWords, worldWords } from './worldWords.ts';

/** What a pre-training trains, and what it reads. */
export interface PretrainModel {
  readonly configuration: ModelConfiguration;
  readonly encoder: DualEncoder;
  readonly words: WorldWords;
  /** SHA-256 of the description and the vocabulary, hex. */
  readonly hash: string;
}

/** The tiny CLIP of the demo: 1.2 million parameters see, 0.5 million read. */
const tinyClip = (vocabularySize: number): object => ({
  model_cfg: {
    embed_dim: 128,
    vision_cfg: { image_size: 48, layers: 6, width: 128, head_width: 32, patch_size: 8 },
    text_cfg: {
      context_length: longestSentence,
      vocab_size: vocabularySize,
      width: 128,
      heads: 4,
      layers: 2,
    },
  },
  preprocess_cfg: { mean: clipNormalisation.mean, std: clipNormalisation.std },
});

/**
 * The model that a run trains.
 *
 * @param arch Path of an `open_clip_config.json`; null for the tiny CLIP.
 * @throws FileError when the file does not describe a CLIP ViT with a text tower that can read the sentences.
 */
export async function resolvePretrainModel(arch: string | null): Promise<PretrainModel> {
  const { vocabularySize } = worldWords(longestSentence);
  const configuration =
    arch === null
      ? parseOpenClipConfiguration(tinyClip(vocabularySize), 'the tiny CLIP')
      : await readOpenClipConfiguration(arch);
  const encoder = encoderOf(configuration, vocabularySize, arch ?? '');
  const words = worldWords(encoder.text.architecture.contextLength);
  const description = JSON.stringify([toOpenClipConfiguration(configuration), words.tokenizer]);
  const hash = createHash('sha256').update(description).digest('hex');
  return { configuration, encoder, words, hash };
}

function encoderOf({ architecture }: ModelConfiguration, vocabularySize: number, file: string): DualEncoder {
  const refuse = (reason: string): never => {
    throw new FileError(file, reason, 'Describe a CLIP ViT with its own text tower, or leave out --arch');
  };
  if (architecture.kind !== 'openclip' && architecture.kind !== 'openai')
    return refuse('it describes no CLIP vision transformer');
  const { text, activation, embeddingDimension } = architecture;
  if (text.kind !== 'clip') return refuse('it describes no text tower that is trained here (text_cfg)');
  if (text.vocabularySize < vocabularySize)
    return refuse(`its vocab_size (${text.vocabularySize}) is less than the ${vocabularySize} tokens in use`);
  if (text.contextLength < longestSentence)
    return refuse(`its context_length (${text.contextLength}) is less than ${longestSentence}`);
  if (text.endOfText !== null && text.endOfText !== vocabularySize - 1)
    return refuse(`its eos_id must be ${vocabularySize - 1}, or pool_type argmax`);
  return { image: architecture, text: { architecture: text, prefix: '', activation, embeddingDimension } };
}

/** Names of the files that make a directory a model folder. */
const modelFileNames = {
  weights: 'open_clip_model.safetensors',
  configuration: 'open_clip_config.json',
  tokenizer: 'tokenizer.json',
} as const;

/** Writes the model as OpenCLIP keeps it: float32 weights under its names, configuration and vocabulary. */
export async function writePretrainedModel(
  directory: string,
  { configuration, words }: PretrainModel,
  weights: ReadonlyMap<string, HostTensor>,
): Promise<void> {
  const description = toOpenClipConfiguration(configuration);
  await writeJson(path.join(directory, modelFileNames.configuration), description);
  await writeJson(path.join(directory, modelFileNames.tokenizer), words.tokenizer);
  await writeSafetensors(path.join(directory, modelFileNames.weights), weights, {
    format: 'pt',
    [configurationMetadataKey]: JSON.stringify(description),
    clipself: JSON.stringify({ version }),
  });
}
