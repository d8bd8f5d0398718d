import type { VisionArchitecture } from '../models/architecture.ts';
import { FileError } from './fileError.ts';
import { isJsonObject, readJson } from './jsonFile.ts';
import { knownName } from './knownArchitectures.ts';

type Triple = readonly [number, number, number];

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

const configurationAdvice = 'Correct the file or use the open_clip_config.json published with the weights';

/** Reads named fields of one JSON object; errors name the file and the field. */
class Fields {
  readonly #file: string;
  readonly #prefix: string;
  readonly #values: Record<string, unknown>;

  constructor(file: string, prefix: string, values: Record<string, unknown>) {
    this.#file = file;
    this.#prefix = prefix;
    this.#values = values;
  }

  get names(): string[] {
    return Object.keys(this.#values);
  }

  value(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
  }

  fail(name: string, reason: string): never {
    throw new FileError(this.#file, `${this.#prefix}${name} ${reason}`, configurationAdvice);
  }

  object(name: string): Fields {
    const value = this.value(name);
    if (!isJsonObject(value))
      return this.fail(name, value === undefined ? 'is missing' : 'must be an object');
    return new Fields(this.#file, `${this.#prefix}${name}.`, value);
  }

  number(name: string, most: number, standard?: number): number {
    const value = this.value(name) ?? standard;
    if (value === undefined) return this.fail(name, 'is missing');
    if (typeof value !== 'number' || !(value > 0 && value <= most)) {
      return this.fail(name, `must be a number above 0 and at most ${most}, not ${shown(value)}`);
    }
    return value;
  }

  integer(name: string, most: number, standard?: number): number {
    const value = this.number(name, most, standard);
    if (!Number.isInteger(value)) this.fail(name, `must be a whole number, not ${value}`);
    return value;
  }

  triple(name: string, least: number): Triple {
    const value = this.value(name);
    const valid =
      Array.isArray(value) &&
      value.length === 3 &&
      value.every(item => typeof item === 'number' && item >= least && item <= 255);
    if (!valid) return this.fail(name, `must be three numbers, not ${shown(value)}`);
    return [value[0] as number, value[1] as number, value[2] as number];
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** Fields of `vision_cfg` that this tower reads, or that change nothing in it. */
const understoodFields = new Set([
  'image_size',
  'layers',
  'width',
  'head_width',
  'patch_size',
  'mlp_ratio',
  // Training-time augmentation of OpenCLIP; CLIPSelf trains without it.
  'patch_dropout',
  // Only read together with attentional_pool.
  'attn_pooler_queries',
  'attn_pooler_heads',
  // Only asks OpenCLIP to return tokens as well.
  'output_tokens',
]);

/** Values that mean "as in the plain tower" for fields that otherwise change it. */
const plainValues: Readonly<Record<string, unknown>> = {
  pool_type: 'tok',
  pos_embed_type: 'learnable',
  block_type: 'default',
};

const refusals: Readonly<Record<string, string>> = {
  timm_model_name: 'names a timm model',
  eva_model_name: 'names an EVA-CLIP model',
  ls_init_value: 'asks for LayerScale',
  attentional_pool: 'asks for attentional pooling',
  pool_type: 'asks for another pooling than the class token',
  global_average_pool: 'asks for average pooling',
  no_ln_pre: 'leaves out the first layer norm',
  final_ln_after_pool: 'moves the last layer norm',
  pos_embed_type: 'asks for another position embedding than a learnt one',
  input_patchnorm: 'asks for normalised patches',
  norm_kwargs: 'changes the layer norms',
  act_kwargs: 'changes the activation',
};

function checkPlain(vision: Fields): void {
  if (Array.isArray(vision.value('layers'))) {
    vision.fail('layers', 'is a list, so this is a ResNet; this version reads vision transformers only');
  }
  const named = [...Object.keys(refusals), ...vision.names];
  for (const name of named) {
    const value = vision.value(name);
    if (understoodFields.has(name) || value === undefined || value === null || value === false) continue;
    if (Object.hasOwn(plainValues, name) && plainValues[name] === value) continue;
    if (isJsonObject(value) && Object.keys(value).length === 0) continue;
    // timm_pool, timm_drop and their like only matter beside a timm_model_name, which is refused first.
    if (name.startsWith('timm_') && name !== 'timm_model_name') continue;
    const why = refusals[name] ?? 'is not known';
    vision.fail(name, `(${shown(value)}) ${why}; this version reads the plain CLIP vision transformer only`);
  }
}

function imageSize(vision: Fields, patchSize: number): number {
  const value = vision.value('image_size') ?? 224;
  const sides: unknown[] = Array.isArray(value) ? value : [value, value];
  const [size] = sides;
  if (sides.length !== 2 || typeof size !== 'number' || sides[1] !== size) {
    return vision.fail(
      'image_size',
      `must be one number or two equal ones, not ${shown(value)}: the teacher sees squares`,
    );
  }
  if (!Number.isInteger(size) || size <= 0 || size > 8192 || size % patchSize !== 0) {
    return vision.fail(
      'image_size',
      `(${size}) must be a multiple of patch_size (${patchSize}), at most 8192`,
    );
  }
  return size;
}

function parseVision(model: Fields): Omit<VisionArchitecture, 'name' | 'kind' | 'text'> {
  const vision = model.object('vision_cfg');
  checkPlain(vision);
  const patchSize = vision.integer('patch_size', 1024, 16);
  const width = vision.integer('width', 65536, 768);
  const headWidth = vision.integer('head_width', 65536, 64);
  if (width % headWidth !== 0) vision.fail('head_width', `(${headWidth}) must divide width (${width})`);
  return {
    imageSize: imageSize(vision, patchSize),
    patchSize,
    width,
    layers: vision.integer('layers', 1024, 12),
    heads: width / headWidth,
    mlpWidth: Math.trunc(width * vision.number('mlp_ratio', 64, 4)),
    embeddingDimension: model.integer('embed_dim', 65536),
    activation: model.value('quick_gelu') === true ? 'quickGelu' : 'gelu',
  };
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
  const vision = parseVision(model);
  const text = model.value('text_cfg');
  const architecture: VisionArchitecture = {
    kind: vision.activation === 'quickGelu' ? 'openai' : 'openclip',
    name: knownName(vision),
    ...vision,
    text: isJsonObject(text) ? text : {},
  };
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
  const { width, heads, mlpWidth } = architecture;
  // OpenCLIP truncates width × ratio: a quotient that rounds down would lose a channel.
  const ratio =
    Math.trunc(width * (mlpWidth / width)) === mlpWidth ? mlpWidth / width : (mlpWidth + 0.5) / width;
  return {
    model_cfg: {
      embed_dim: architecture.embeddingDimension,
      ...(architecture.activation === 'quickGelu' ? { quick_gelu: true } : {}),
      vision_cfg: {
        image_size: architecture.imageSize,
        layers: architecture.layers,
        width,
        head_width: width / heads,
        patch_size: architecture.patchSize,
        mlp_ratio: ratio,
      },
      text_cfg: architecture.text,
    },
    preprocess_cfg: { mean: normalisation.mean, std: normalisation.std },
  };
}
