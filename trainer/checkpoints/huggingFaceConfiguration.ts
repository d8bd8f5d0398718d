/** `config.json` and `preprocessor_config.json` of Hugging Face's CLIP, as the OpenCLIP configuration that they mean. */
import path from 'node:path';
import { FileError, systemErrorCode } from './fileError.ts';
import { isJsonObject, readJson } from './jsonFile.ts';
import { type ModelConfiguration, parseOpenClipConfiguration } from './openClipConfiguration.ts';

const advice = 'Use the config.json published with the weights, or name an open_clip_config.json with --arch';

type Section = Record<string, unknown>;

/** Defaults of Hugging Face's CLIPVisionConfig, CLIPTextConfig and CLIPConfig. */
const visionDefaults = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  image_size: 224,
  patch_size: 32,
};
const textDefaults = {
  hidden_size: 512,
  intermediate_size: 2048,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  max_position_embeddings: 77,
  vocab_size: 49408,
};

/**
 * Where a text is read out. With the value 2, a mistake in OpenAI's published configuration, Hugging Face's own code
 * takes the highest id of the text instead.
 */
const endOfTextDefault = 49407;
const highestId = 2;
const projectionDefault = 512;

/** Our names of Hugging Face's activations. */
const activations: Readonly<Record<string, 'quickGelu' | 'gelu'>> = { quick_gelu: 'quickGelu', gelu: 'gelu' };

/** Layer norms of all published CLIP models. */
const usualEpsilon = 1e-5;

class ConfigurationReader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  fail(reason: string): never {
    throw new FileError(this.#file, reason, advice);
  }

  section(parent: Section, name: string): Section {
    const value = parent[name] ?? {};
    return isJsonObject(value) ? value : this.fail(`${name} must be an object`);
  }

  integer(section: Section, name: string, standard: number): number {
    const value = section[name] ?? standard;
    if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 1 << 20) return value;
    return this.fail(`${name} must be a whole number above 0, not ${JSON.stringify(value).slice(0, 60)}`);
  }

  integers<Names extends string>(section: Section, defaults: Record<Names, number>): Record<Names, number> {
    const names = Object.keys(defaults) as Names[];
    return Object.fromEntries(
      names.map(name => [name, this.integer(section, name, defaults[name])]),
    ) as Record<Names, number>;
  }

  activation(section: Section): 'quickGelu' | 'gelu' {
    const name = section.hidden_act ?? 'quick_gelu';
    const known =
      typeof name === 'string' && Object.hasOwn(activations, name) ? activations[name] : undefined;
    return (
      known ?? this.fail(`hidden_act ${JSON.stringify(name).slice(0, 60)} is neither "quick_gelu" nor "gelu"`)
    );
  }

  checkEpsilon(section: Section): void {
    const epsilon = section.layer_norm_eps ?? usualEpsilon;
    if (epsilon !== usualEpsilon)
      this.fail(
        `layer_norm_eps is ${JSON.stringify(epsilon).slice(0, 60)}; only ${usualEpsilon} is supported`,
      );
  }
}

/** The image tower's section: of a whole CLIP, or the configuration itself of an image tower alone. */
function visionSection(reader: ConfigurationReader, content: Section): Section {
  if (content.model_type === 'clip') return reader.section(content, 'vision_config');
  if (content.model_type === 'clip_vision_model')
    return isJsonObject(content.vision_config) ? content.vision_config : content;
  const type = JSON.stringify(content.model_type ?? null).slice(0, 60);
  return reader.fail(`model_type is ${type}; only "clip" and "clip_vision_model" are supported`);
}

/** What OpenCLIP would say of the text tower; what it cannot say stays under Hugging Face's name and is refused there. */
function toTextConfiguration(reader: ConfigurationReader, content: Section, activation: unknown): Section {
  const source = reader.section(content, 'text_config');
  const text = reader.integers(source, textDefaults);
  const endOfText = source.eos_token_id ?? endOfTextDefault;
  const { hidden_act: act = 'quick_gelu', layer_norm_eps: epsilon = usualEpsilon } = source;
  return {
    context_length: text.max_position_embeddings,
    vocab_size: text.vocab_size,
    width: text.hidden_size,
    heads: text.num_attention_heads,
    layers: text.num_hidden_layers,
    mlp_ratio: (text.intermediate_size + 0.25) / text.hidden_size,
    ...(endOfText === highestId ? {} : { pool_type: 'eos', eos_id: endOfText }),
    ...(act === activation ? {} : { hidden_act: act }),
    ...(epsilon === usualEpsilon ? {} : { layer_norm_eps: epsilon }),
  };
}

function toOpenClip(reader: ConfigurationReader, content: Section): Section {
  const visionSource = visionSection(reader, content);
  const vision = reader.integers(visionSource, visionDefaults);
  reader.checkEpsilon(visionSource);
  if (vision.hidden_size % vision.num_attention_heads !== 0)
    reader.fail(
      `num_attention_heads (${vision.num_attention_heads}) must divide hidden_size (${vision.hidden_size})`,
    );
  return {
    embed_dim: reader.integer(content, 'projection_dim', projectionDefault),
    quick_gelu: reader.activation(visionSource) === 'quickGelu',
    vision_cfg: {
      image_size: vision.image_size,
      layers: vision.num_hidden_layers,
      width: vision.hidden_size,
      head_width: vision.hidden_size / vision.num_attention_heads,
      patch_size: vision.patch_size,
      // OpenCLIP truncates width × ratio: a quotient that rounds down would lose a channel.
      mlp_ratio: (vision.intermediate_size + 0.25) / vision.hidden_size,
    },
    ...(content.model_type === 'clip'
      ? { text_cfg: toTextConfiguration(reader, content, visionSource.hidden_act ?? 'quick_gelu') }
      : {}),
  };
}

/** `image_mean` and `image_std` of the file beside the configuration; undefined without one. */
async function readNormalisation(directory: string): Promise<Section | undefined> {
  const file = path.join(directory, 'preprocessor_config.json');
  let content: unknown;
  try {
    content = await readJson(file);
  } catch (error) {
    if (error instanceof FileError && systemErrorCode(error.cause) === 'ENOENT') return undefined;
    throw error;
  }
  if (!isJsonObject(content)) throw new FileError(file, 'it must hold a JSON object', advice);
  const { image_mean: mean, image_std: std } = content;
  for (const [name, value] of Object.entries({ image_mean: mean, image_std: std })) {
    const valid =
      value === undefined || (Array.isArray(value) && value.length === 3 && value.every(Number.isFinite));
    if (!valid) throw new FileError(file, `${name} must be three numbers`, advice);
  }
  return { ...(mean === undefined ? {} : { mean }), ...(std === undefined ? {} : { std }) };
}

/** Content of a `config.json` that says what it configures; undefined for other JSON. */
export function isHuggingFaceConfiguration(content: unknown): content is Section {
  return isJsonObject(content) && typeof content.model_type === 'string';
}

/**
 * Reads a Hugging Face `config.json` and the `preprocessor_config.json` beside it.
 *
 * @throws FileError naming the field that is wrong or asks for something that is not supported.
 */
export async function readHuggingFaceConfiguration(file: string): Promise<ModelConfiguration> {
  const content = await readJson(file);
  const reader = new ConfigurationReader(file);
  if (!isJsonObject(content)) return reader.fail('it must hold a JSON object');
  const preprocess = await readNormalisation(path.dirname(file));
  return parseOpenClipConfiguration(
    { model_cfg: toOpenClip(reader, content), ...(preprocess ? { preprocess_cfg: preprocess } : {}) },
    file,
  );
}
