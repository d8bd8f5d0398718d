import type { ClipVitArchitecture, Eva02Architecture, ResNetArchitecture } from './architecture.ts';
import type { TextArchitecture } from './textArchitecture.ts';

/** Names and shapes of an image tower's tensors in a checkpoint. */
export type TensorShapes = Map<string, readonly number[]>;

type Entries = [name: string, shape: readonly number[]][];

const gridCells = ({ imageSize, patchSize }: { imageSize: number; patchSize: number }): number =>
  Math.floor(imageSize / patchSize) ** 2;

const norm = (prefix: string, channels: number): Entries => [
  [`${prefix}.weight`, [channels]],
  [`${prefix}.bias`, [channels]],
];

const linear = (prefix: string, outputs: number, inputs: number): Entries => [
  [`${prefix}.weight`, [outputs, inputs]],
  [`${prefix}.bias`, [outputs]],
];

const sequence = (count: number, entries: (index: number) => Entries): Entries =>
  Array.from({ length: count }, (_, index) => entries(index)).flat();

/** A block of CLIP's own transformers, of images and of texts. */
const residualBlock = (prefix: string, width: number, mlpWidth: number): Entries => [
  ...norm(`${prefix}.ln_1`, width),
  [`${prefix}.attn.in_proj_weight`, [3 * width, width]],
  [`${prefix}.attn.in_proj_bias`, [3 * width]],
  ...linear(`${prefix}.attn.out_proj`, width, width),
  ...norm(`${prefix}.ln_2`, width),
  ...linear(`${prefix}.mlp.c_fc`, mlpWidth, width),
  ...linear(`${prefix}.mlp.c_proj`, width, mlpWidth),
];

/** CLIP's text transformer; every name below a prefix of the checkpoint. */
export function textTensorShapes(text: TextArchitecture, embeddingDimension: number): TensorShapes {
  const { width, mlpWidth, layers, vocabularySize, contextLength } = text;
  return new Map<string, readonly number[]>([
    ['token_embedding.weight', [vocabularySize, width]],
    ['positional_embedding', [contextLength, width]],
    ...norm('ln_final', width),
    ['text_projection', [width, embeddingDimension]],
    ...sequence(layers, index => residualBlock(`transformer.resblocks.${index}`, width, mlpWidth)),
  ]);
}

/** The layout that OpenAI and OpenCLIP share. */
export function clipVitTensorShapes(architecture: ClipVitArchitecture): TensorShapes {
  const { width, patchSize, layers, embeddingDimension, mlpWidth } = architecture;
  return new Map<string, readonly number[]>([
    ['visual.class_embedding', [width]],
    ['visual.positional_embedding', [gridCells(architecture) + 1, width]],
    ['visual.proj', [width, embeddingDimension]],
    ['visual.conv1.weight', [width, 3, patchSize, patchSize]],
    ...norm('visual.ln_pre', width),
    ...sequence(layers, index => residualBlock(`visual.transformer.resblocks.${index}`, width, mlpWidth)),
    ...norm('visual.ln_post', width),
  ]);
}

/** The layout of EVA-02 CLIP. The rotary tables that its files hold as well are computed anew. */
export function eva02TensorShapes(architecture: Eva02Architecture): TensorShapes {
  const { width, mlpWidth, patchSize, layers, embeddingDimension } = architecture;
  const block = (prefix: string): Entries => [
    ...norm(`${prefix}.norm1`, width),
    [`${prefix}.attn.q_bias`, [width]],
    [`${prefix}.attn.v_bias`, [width]],
    [`${prefix}.attn.q_proj.weight`, [width, width]],
    [`${prefix}.attn.k_proj.weight`, [width, width]],
    [`${prefix}.attn.v_proj.weight`, [width, width]],
    ...norm(`${prefix}.attn.inner_attn_ln`, width),
    ...linear(`${prefix}.attn.proj`, width, width),
    ...norm(`${prefix}.norm2`, width),
    ...linear(`${prefix}.mlp.w1`, mlpWidth, width),
    ...linear(`${prefix}.mlp.w2`, mlpWidth, width),
    ...norm(`${prefix}.mlp.ffn_ln`, mlpWidth),
    ...linear(`${prefix}.mlp.w3`, width, mlpWidth),
  ];
  return new Map<string, readonly number[]>([
    ['visual.cls_token', [1, 1, width]],
    ['visual.pos_embed', [1, gridCells(architecture) + 1, width]],
    ['visual.patch_embed.proj.weight', [width, 3, patchSize, patchSize]],
    ['visual.patch_embed.proj.bias', [width]],
    ...sequence(layers, index => block(`visual.blocks.${index}`)),
    ...norm('visual.norm', width),
    ...linear('visual.head', embeddingDimension, width),
  ]);
}

/** A convolution's kernel and the batch norm after it. */
const convolution = (
  kernel: string,
  batchNorm: string,
  outputs: number,
  inputs: number,
  side: number,
): Entries => [
  [`${kernel}.weight`, [outputs, inputs, side, side]],
  ...norm(batchNorm, outputs),
  [`${batchNorm}.running_mean`, [outputs]],
  [`${batchNorm}.running_var`, [outputs]],
];

/** Channels of a bottleneck: what comes in, its hidden channels; 4 × hidden go out. */
export function bottleneckChannels(
  { width }: Pick<ResNetArchitecture, 'width'>,
  stage: number,
  index: number,
): { inputs: number; hidden: number } {
  const hidden = width * 2 ** stage;
  if (index > 0) return { inputs: 4 * hidden, hidden };
  return { inputs: stage === 0 ? width : 2 * hidden, hidden };
}

/** The layout of OpenAI's ModifiedResNet. */
export function resNetTensorShapes(architecture: ResNetArchitecture): TensorShapes {
  const { width, stages, embeddingDimension } = architecture;
  const half = width / 2;
  const bottleneck = (stage: number, index: number): Entries => {
    const prefix = `visual.layer${stage + 1}.${index}`;
    const { inputs, hidden } = bottleneckChannels(architecture, stage, index);
    return [
      ...convolution(`${prefix}.conv1`, `${prefix}.bn1`, hidden, inputs, 1),
      ...convolution(`${prefix}.conv2`, `${prefix}.bn2`, hidden, hidden, 3),
      ...convolution(`${prefix}.conv3`, `${prefix}.bn3`, 4 * hidden, hidden, 1),
      ...(index > 0
        ? []
        : convolution(`${prefix}.downsample.0`, `${prefix}.downsample.1`, 4 * hidden, inputs, 1)),
    ];
  };
  const channels = 32 * width;
  return new Map<string, readonly number[]>([
    ...convolution('visual.conv1', 'visual.bn1', half, 3, 3),
    ...convolution('visual.conv2', 'visual.bn2', half, half, 3),
    ...convolution('visual.conv3', 'visual.bn3', width, half, 3),
    ...stages.flatMap((count, stage) => sequence(count, index => bottleneck(stage, index))),
    ['visual.attnpool.positional_embedding', [gridCells(architecture) + 1, channels]],
    ...linear('visual.attnpool.q_proj', channels, channels),
    ...linear('visual.attnpool.k_proj', channels, channels),
    ...linear('visual.attnpool.v_proj', channels, channels),
    ...linear('visual.attnpool.c_proj', embeddingDimension, channels),
  ]);
}
