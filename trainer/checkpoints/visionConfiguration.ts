import type {
  ClipVitArchitecture,
  Eva02Architecture,
  ResNetArchitecture,
  VisionArchitecture,
} from '../models/architecture.ts';
import { type Fields, shown } from './configurationFields.ts';
import { isJsonObject } from './jsonFile.ts';

type Tower<Architecture extends VisionArchitecture> = Omit<Architecture, 'name' | 'text'>;

type ParsedTower = Tower<ClipVitArchitecture> | Tower<Eva02Architecture> | Tower<ResNetArchitecture>;

/** Fields of `vision_cfg` that this tower reads, or that change nothing in it. */
const understoodFields: ReadonlySet<string> = new Set([
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

/** Refuses fields that ask for something else than the tower of the family, `tower` in words. */
function checkFields(vision: Fields, understood: ReadonlySet<string>, tower: string): void {
  const named = [...Object.keys(refusals), ...vision.names];
  for (const name of named) {
    const value = vision.value(name);
    if (understood.has(name) || value === undefined || value === null || value === false) continue;
    if (Object.hasOwn(plainValues, name) && plainValues[name] === value) continue;
    if (isJsonObject(value) && Object.keys(value).length === 0) continue;
    // timm_pool, timm_drop and their like only matter beside a timm_model_name, which is refused first.
    if (name.startsWith('timm_') && name !== 'timm_model_name') continue;
    const why = refusals[name] ?? 'is not known';
    vision.fail(name, `(${shown(value)}) ${why}; this version reads ${tower} only`);
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
  if (!Number.isInteger(size) || size < patchSize || size > 8192)
    return vision.fail(
      'image_size',
      `(${size}) must be a whole number from ${patchSize}, one patch, to 8192`,
    );
  return size;
}

const plainTower = 'the plain CLIP vision transformer, EVA-02 and the CLIP ResNet';

/** What is the same in every family. */
function parseSizes(model: Fields, vision: Fields, patchSize: number) {
  return {
    imageSize: imageSize(vision, patchSize),
    patchSize,
    embeddingDimension: model.integer('embed_dim', 65536),
    activation: model.value('quick_gelu') === true ? ('quickGelu' as const) : ('gelu' as const),
  };
}

function parseTransformer(model: Fields, vision: Fields) {
  const width = vision.integer('width', 65536, 768);
  const headWidth = vision.integer('head_width', 65536, 64);
  if (width % headWidth !== 0) vision.fail('head_width', `(${headWidth}) must divide width (${width})`);
  return {
    ...parseSizes(model, vision, vision.integer('patch_size', 1024, 16)),
    width,
    layers: vision.integer('layers', 1024, 12),
    heads: width / headWidth,
    mlpWidth: Math.trunc(width * vision.number('mlp_ratio', 64, 4)),
  };
}

function parseClipVit(model: Fields, vision: Fields): Tower<ClipVitArchitecture> {
  checkFields(vision, understoodFields, plainTower);
  const tower = parseTransformer(model, vision);
  return { kind: tower.activation === 'quickGelu' ? 'openai' : 'openclip', ...tower };
}

/** Fields of EVA-CLIP's `vision_cfg` beside the common ones; kernels and stochastic depth change no result. */
const evaFields: ReadonlySet<string> = new Set([
  ...understoodFields,
  'eva_model_name',
  'pt_hw_seq_len',
  'rope',
  'intp_freq',
  'naiveswiglu',
  'subln',
  'qkv_bias',
  'xattn',
  'fusedLN',
  'drop_path_rate',
]);

/** What makes an EVA tower the EVA-02 of the published CLIPs; other EVA-CLIP models have fused projections. */
const evaSwitches = ['rope', 'intp_freq', 'naiveswiglu', 'subln'];

function parseEva02(model: Fields, vision: Fields): Tower<Eva02Architecture> {
  for (const name of evaSwitches)
    if (vision.value(name) !== true) vision.fail(name, 'must be true: of EVA-CLIP this version reads EVA-02');
  if (vision.value('qkv_bias') === false) vision.fail('qkv_bias', 'must be true: EVA-02 has q and v biases');
  checkFields(vision, evaFields, plainTower);
  const tower = parseTransformer(model, vision);
  if ((tower.width / tower.heads) % 4 !== 0)
    vision.fail('head_width', `(${tower.width / tower.heads}) must be a multiple of 4 for rotary positions`);
  return { kind: 'eva02', ...tower, rotaryGrid: vision.integer('pt_hw_seq_len', 1024, 16) };
}

/** Pixels between the cells of a ResNet's last feature map. */
const resNetStride = 32;

function parseResNet(model: Fields, vision: Fields): Tower<ResNetArchitecture> {
  checkFields(vision, understoodFields, plainTower);
  const stages = vision.value('layers');
  const valid = (count: unknown): count is number => Number.isInteger(count) && 0 < (count as number);
  if (!Array.isArray(stages) || stages.length !== 4 || !stages.every(count => valid(count) && count <= 256))
    return vision.fail(
      'layers',
      `(${shown(stages)}) must be four whole numbers of bottlenecks from 1 to 256`,
    );
  const width = vision.integer('width', 2048, 64);
  if (width % 2 !== 0) vision.fail('width', `(${width}) must be even`);
  const headWidth = vision.integer('head_width', 65536, 64);
  const sizes = parseSizes(model, vision, resNetStride);
  if (sizes.imageSize % resNetStride !== 0)
    vision.fail('image_size', `(${sizes.imageSize}) must be a multiple of ${resNetStride} for a ResNet`);
  if ((width * 32) % headWidth !== 0)
    vision.fail('head_width', `(${headWidth}) must divide 32 × width (${width * 32})`);
  return {
    kind: 'resnet',
    ...sizes,
    width,
    layers: stages.length,
    stages,
    heads: (width * 32) / headWidth,
    mlpWidth: width * 8,
  };
}

/** Image tower of a `model_cfg`. Throws FileError naming the field that is wrong or cannot be computed. */
export function parseVisionConfiguration(model: Fields): ParsedTower {
  const vision = model.object('vision_cfg');
  if (Array.isArray(vision.value('layers'))) return parseResNet(model, vision);
  if (typeof vision.value('eva_model_name') === 'string') return parseEva02(model, vision);
  return parseClipVit(model, vision);
}

/** The `vision_cfg` that reads back as this tower. */
export function toVisionConfiguration(architecture: VisionArchitecture): Record<string, unknown> {
  const { imageSize, width, heads, mlpWidth, patchSize, layers } = architecture;
  if (architecture.kind === 'resnet')
    return { image_size: imageSize, layers: architecture.stages, width, head_width: (width * 32) / heads };
  // OpenCLIP truncates width × ratio: a quotient that rounds down would lose a channel.
  const ratio =
    Math.trunc(width * (mlpWidth / width)) === mlpWidth ? mlpWidth / width : (mlpWidth + 0.5) / width;
  const transformer = {
    image_size: imageSize,
    layers,
    width,
    head_width: width / heads,
    patch_size: patchSize,
    mlp_ratio: ratio,
  };
  if (architecture.kind !== 'eva02') return transformer;
  return {
    ...transformer,
    // EVA-CLIP's loader asks only whether there is a name.
    eva_model_name: architecture.name ?? 'eva02',
    pt_hw_seq_len: architecture.rotaryGrid,
    rope: true,
    intp_freq: true,
    naiveswiglu: true,
    subln: true,
  };
}
