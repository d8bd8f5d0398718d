import { FileError } from '../checkpoints/fileError.ts';

/** A CLIP vision transformer: everything its forward pass needs to know besides the weights. */
export interface VisionArchitecture {
  /** Both share one tensor layout; `openai` marks the QuickGELU of OpenAI's weights, `openclip` the exact GELU. */
  readonly kind: 'openai' | 'openclip';
  /** Known name such as `ViT-B-16`; null for any other combination of sizes. */
  readonly name: string | null;
  /** Side of the square pretraining image in pixels; a multiple of `patchSize`. */
  readonly imageSize: number;
  /** Side of a square patch in pixels. */
  readonly patchSize: number;
  /** Channels of a token. */
  readonly width: number;
  /** Residual attention blocks. */
  readonly layers: number;
  /** Attention heads; `width / heads` channels each. */
  readonly heads: number;
  /** Hidden channels of a block's MLP. */
  readonly mlpWidth: number;
  /** Channels of the joint image-text embedding. */
  readonly embeddingDimension: number;
  readonly activation: 'quickGelu' | 'gelu';
  /** `text_cfg` as found, for the text tower; empty when unknown. */
  readonly text: Readonly<Record<string, unknown>>;
}

/** The part of a tensor entry that an architecture can be checked against. */
export interface ShapedTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** Patches along one side of the pretraining image. */
export function gridSide(architecture: Pick<VisionArchitecture, 'imageSize' | 'patchSize'>): number {
  return architecture.imageSize / architecture.patchSize;
}

function blockShapes(prefix: string, { width, mlpWidth }: VisionArchitecture): [string, number[]][] {
  return [
    [`${prefix}.ln_1.weight`, [width]],
    [`${prefix}.ln_1.bias`, [width]],
    [`${prefix}.attn.in_proj_weight`, [3 * width, width]],
    [`${prefix}.attn.in_proj_bias`, [3 * width]],
    [`${prefix}.attn.out_proj.weight`, [width, width]],
    [`${prefix}.attn.out_proj.bias`, [width]],
    [`${prefix}.ln_2.weight`, [width]],
    [`${prefix}.ln_2.bias`, [width]],
    [`${prefix}.mlp.c_fc.weight`, [mlpWidth, width]],
    [`${prefix}.mlp.c_fc.bias`, [mlpWidth]],
    [`${prefix}.mlp.c_proj.weight`, [width, mlpWidth]],
    [`${prefix}.mlp.c_proj.bias`, [width]],
  ];
}

/** Names and shapes of the image tower's tensors in the layout that OpenAI and OpenCLIP share. */
export function visionTensorShapes(architecture: VisionArchitecture): Map<string, readonly number[]> {
  const { width, patchSize, layers, embeddingDimension } = architecture;
  const blocks = Array.from({ length: layers }, (_, index) =>
    blockShapes(`visual.transformer.resblocks.${index}`, architecture),
  );
  return new Map<string, readonly number[]>([
    ['visual.class_embedding', [width]],
    ['visual.positional_embedding', [gridSide(architecture) ** 2 + 1, width]],
    ['visual.proj', [width, embeddingDimension]],
    ['visual.conv1.weight', [width, 3, patchSize, patchSize]],
    ['visual.ln_pre.weight', [width]],
    ['visual.ln_pre.bias', [width]],
    ...blocks.flat(),
    ['visual.ln_post.weight', [width]],
    ['visual.ln_post.bias', [width]],
  ]);
}

/** One line for messages: `ViT-B-16 (224 px, patch 16, width 768, 12 layers, 12 heads, gelu)`. */
export function describeArchitecture(architecture: VisionArchitecture): string {
  const { name, imageSize, patchSize, width, layers, heads, activation } = architecture;
  return `${name ?? 'ViT'} (${imageSize} px, patch ${patchSize}, width ${width}, ${layers} layers, ${heads} heads, ${activation})`;
}

const floatTypes = new Set(['float64', 'float32', 'float16', 'bfloat16']);

/**
 * Checks that a weights file holds every tensor of the image tower in the shape that the architecture says.
 *
 * @throws FileError naming the first tensor that does not fit, with both shapes.
 */
export function checkVisionTensors(
  tensors: ReadonlyMap<string, ShapedTensor>,
  architecture: VisionArchitecture,
  file: string,
): void {
  const described = describeArchitecture(architecture);
  const advice =
    'Name the right architecture with --arch, or use the open_clip_config.json that belongs to the weights';
  for (const [name, shape] of visionTensorShapes(architecture)) {
    const found = tensors.get(name);
    if (found === undefined)
      throw new FileError(file, `it lacks the tensor '${name}' of ${described}`, advice);
    if (found.shape.join() !== shape.join()) {
      const shapes = `[${found.shape.join(', ')}], but ${described} needs [${shape.join(', ')}]`;
      throw new FileError(file, `tensor '${name}' has shape ${shapes}`, advice);
    }
    if (!floatTypes.has(found.dtype)) {
      throw new FileError(
        file,
        `tensor '${name}' is ${found.dtype}, not floating point`,
        'Use unquantised weights',
      );
    }
  }
  const extra = `visual.transformer.resblocks.${architecture.layers}.ln_1.weight`;
  if (tensors.has(extra))
    throw new FileError(file, `it has more blocks than the ${architecture.layers} of ${described}`, advice);
}
