import type { VisionArchitecture } from './architecture.ts';
import { attentionBlock, classTokenBlock, selfLikenessBlock, valueBlock } from './residualBlock.ts';
import { denseHead, imageHead, stem } from './stemAndHead.ts';
import { type ImageBatch, keyOf, patchTokens, type VisionStage } from './visionStage.ts';

/**
 * How dense features are read from a tower. `value` is CLIPSelf's (paper section 3.1, after MaskCLIP): the last block
 * has no attention, every token keeps its own value projection, with residual and MLP. `tokens` takes the last
 * block's tokens as they are; the other three let tokens attend by likeness of queries, keys or values.
 */
export const denseReadOuts = ['value', 'tokens', 'queryQuery', 'keyKey', 'valueValue'] as const;

export type DenseReadOut = (typeof denseReadOuts)[number];

export interface DenseOptions {
  readOut?: DenseReadOut;
  /** Block that is read out, 1 … layers; the last without it. Later blocks do not run. */
  layer?: number;
}

/** `encode_image`: pixels `[B, 3, H, W]` → embeddings `[B, D]`, not normalised. The last block sees queries of the class token alone. */
export function imageStages(architecture: VisionArchitecture, batch: ImageBatch): VisionStage[] {
  const last = architecture.layers - 1;
  return [
    ...trunkStages(architecture, batch, last),
    classTokenBlock(architecture, batch, last),
    imageHead(architecture, batch),
  ];
}

/** `encode_dense`: pixels `[B, 3, H, W]` → dense features `[B · rows · columns, D]` of unit norm. */
export function denseStages(
  architecture: VisionArchitecture,
  batch: ImageBatch,
  { readOut = 'value', layer = architecture.layers }: DenseOptions = {},
): VisionStage[] {
  if (!Number.isInteger(layer) || layer < 1 || layer > architecture.layers)
    throw new RangeError(`the tower has layers 1 to ${architecture.layers}; got ${layer}`);
  return [
    ...trunkStages(architecture, batch, layer - 1),
    ...readOutStages(architecture, batch, layer - 1, readOut),
    denseHead(architecture, batch),
  ];
}

/** Stem and the first `blocks` blocks: tokens `[B · (1 + rows · columns), width]`. */
export function trunkStages(
  architecture: VisionArchitecture,
  batch: ImageBatch,
  blocks: number,
): VisionStage[] {
  const trunk = Array.from({ length: blocks }, (_, index) => attentionBlock(architecture, batch, index));
  return [stem(architecture, batch), ...trunk];
}

/** The block that is read out, to patch tokens `[B · rows · columns, width]`. */
function readOutStages(
  architecture: VisionArchitecture,
  batch: ImageBatch,
  index: number,
  readOut: DenseReadOut,
): VisionStage[] {
  switch (readOut) {
    case 'value':
      return [valueBlock(architecture, batch, index)];
    case 'tokens':
      return [onlyPatches(attentionBlock(architecture, batch, index), batch)];
    case 'queryQuery':
      return [onlyPatches(selfLikenessBlock(architecture, batch, index, 'query'), batch)];
    case 'keyKey':
      return [onlyPatches(selfLikenessBlock(architecture, batch, index, 'key'), batch)];
    case 'valueValue':
      return [onlyPatches(selfLikenessBlock(architecture, batch, index, 'value'), batch)];
  }
}

const onlyPatches = (stage: VisionStage, batch: ImageBatch): VisionStage => ({
  ...stage,
  key: keyOf(`patches of ${stage.key}`, batch),
  output: patchTokens(stage.output, batch),
});
