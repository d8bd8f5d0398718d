import { FileError } from '../checkpoints/fileError.ts';
import { clipVitTensorShapes, eva02TensorShapes, resNetTensorShapes } from './tensorShapes.ts';
import type { TextDescription } from './textArchitecture.ts';

interface TowerSizes {
  /** Known name such as `ViT-B-16`; null for any other combination of sizes. */
  readonly name: string | null;
  /** Side of the square pretraining image in pixels. */
  readonly imageSize: number;
  /** Side of a square patch in pixels; of a ResNet, the pixels between cells of its last feature map. */
  readonly patchSize: number;
  /** Channels of a token; of a ResNet, of its first stage. */
  readonly width: number;
  /** Residual attention blocks; of a ResNet, its stages. */
  readonly layers: number;
  /** Attention heads; those of a ResNet belong to its pooling. */
  readonly heads: number;
  /** Hidden channels of a block's MLP; of a ResNet, of the bottlenecks in its last stage. */
  readonly mlpWidth: number;
  /** Channels of the joint image-text embedding. */
  readonly embeddingDimension: number;
  /** Activation of the MLPs; of EVA-02 and ResNets that of the text tower alone. */
  readonly activation: 'quickGelu' | 'gelu';
  readonly text: TextDescription;
}

/** A CLIP vision transformer of OpenAI or OpenCLIP. */
export interface ClipVitArchitecture extends TowerSizes {
  /** Both share one tensor layout; `openai` marks the QuickGELU of OpenAI's weights, `openclip` the exact GELU. */
  readonly kind: 'openai' | 'openclip';
}

/** An EVA-02 CLIP transformer: rotary positions, sub-LN, SwiGLU. */
export interface Eva02Architecture extends TowerSizes {
  readonly kind: 'eva02';
  /** Patches along a side of the grid whose positions the rotary angles count, whatever the own grid. */
  readonly rotaryGrid: number;
}

/** A CLIP ModifiedResNet: convolutions, then attention pooling. For inference. */
export interface ResNetArchitecture extends TowerSizes {
  readonly kind: 'resnet';
  /** Bottlenecks of each of the four stages. */
  readonly stages: readonly number[];
}

/** An image tower: everything its forward pass needs to know besides the weights. */
export type VisionArchitecture = ClipVitArchitecture | Eva02Architecture | ResNetArchitecture;

/** Throws when the tower has no blocks with the thing named. */
export function requireTransformer(
  architecture: VisionArchitecture,
  wanted: string,
): ClipVitArchitecture | Eva02Architecture {
  if (architecture.kind === 'resnet')
    throw new Error(
      `${architecture.name ?? 'the model'} is a ResNet and has no ${wanted}: use a vision transformer`,
    );
  return architecture;
}

/** The part of a tensor entry that an architecture can be checked against. */
export interface ShapedTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** Whole patches along one side of the pretraining image. */
export function gridSide(architecture: Pick<VisionArchitecture, 'imageSize' | 'patchSize'>): number {
  return Math.floor(architecture.imageSize / architecture.patchSize);
}

/** Whole patches along a side of a square input; pixels beyond the last one are not seen, as a convolution has it. */
export const cellsAlong = (size: number, { patchSize }: Pick<VisionArchitecture, 'patchSize'>): number =>
  Math.floor(size / patchSize);

/**
 * Why a tower cannot take a square input, and the nearest side in pixels that it can take; null when it can. A
 * transformer needs one whole patch. A ResNet's convolutions halve the input with padding, which agrees with its grid
 * for multiples of its stride only.
 */
export function unsuitableSize(
  size: number,
  { kind, patchSize }: Pick<VisionArchitecture, 'kind' | 'patchSize'>,
): { rule: string; nearest: number } | null {
  if (kind === 'resnet') {
    const nearest = Math.max(1, Math.round(size / patchSize)) * patchSize;
    return nearest === size ? null : { rule: `be a multiple of ${patchSize} for a ResNet`, nearest };
  }
  return size >= patchSize ? null : { rule: `hold one patch of ${patchSize} pixels`, nearest: patchSize };
}

/** Names and shapes of the image tower's tensors. */
export function visionTensorShapes(architecture: VisionArchitecture): Map<string, readonly number[]> {
  switch (architecture.kind) {
    case 'eva02':
      return eva02TensorShapes(architecture);
    case 'resnet':
      return resNetTensorShapes(architecture);
    default:
      return clipVitTensorShapes(architecture);
  }
}

/** Prefix of the tensors of block `index`; of a ResNet, of stage `index`. */
export function blockPrefix({ kind }: Pick<VisionArchitecture, 'kind'>, index: number): string {
  if (kind === 'eva02') return `visual.blocks.${index}.`;
  return kind === 'resnet' ? `visual.layer${index + 1}.` : `visual.transformer.resblocks.${index}.`;
}

/** One line for messages: `ViT-B-16 (224 px, patch 16, width 768, 12 layers, 12 heads, gelu)`. */
export function describeArchitecture(architecture: VisionArchitecture): string {
  const { name, imageSize, patchSize, width, layers, heads, activation } = architecture;
  if (architecture.kind === 'resnet')
    return `${name ?? 'ResNet'} (${imageSize} px, ${architecture.stages.join('-')} bottlenecks, width ${width}, ${heads} pooling heads)`;
  const mlp = architecture.kind === 'eva02' ? 'SwiGLU' : activation;
  const standard = architecture.kind === 'eva02' ? 'EVA-02' : 'ViT';
  return `${name ?? standard} (${imageSize} px, patch ${patchSize}, width ${width}, ${layers} layers, ${heads} heads, ${mlp})`;
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
  checkTensors(tensors, visionTensorShapes(architecture), described, file);
  checkBlockCount(
    tensors,
    blockPrefix(architecture, architecture.layers),
    architecture.layers,
    described,
    file,
  );
}

const shapeAdvice =
  'Name the right architecture with --arch, or use the open_clip_config.json that belongs to the weights';

/** Throws FileError naming the first tensor of `shapes` that is missing, of another shape or no float. */
export function checkTensors(
  tensors: ReadonlyMap<string, ShapedTensor>,
  shapes: Iterable<readonly [name: string, shape: readonly number[]]>,
  described: string,
  file: string,
): void {
  for (const [name, shape] of shapes) {
    const found = tensors.get(name);
    if (found === undefined)
      throw new FileError(file, `it lacks the tensor '${name}' of ${described}`, shapeAdvice);
    if (found.shape.join() !== shape.join()) {
      const both = `[${found.shape.join(', ')}], but ${described} needs [${shape.join(', ')}]`;
      throw new FileError(file, `tensor '${name}' has shape ${both}`, shapeAdvice);
    }
    if (!floatTypes.has(found.dtype)) {
      throw new FileError(
        file,
        `tensor '${name}' is ${found.dtype}, not floating point`,
        'Use unquantised weights',
      );
    }
  }
}

/** Throws FileError when there is a block beyond the last, whose names begin with `extra`. */
export function checkBlockCount(
  tensors: ReadonlyMap<string, ShapedTensor>,
  extra: string,
  layers: number,
  described: string,
  file: string,
): void {
  for (const name of tensors.keys())
    if (name.startsWith(extra))
      throw new FileError(file, `it has more blocks than the ${layers} of ${described}`, shapeAdvice);
}
