import { requireTransformer, type VisionArchitecture } from './architecture.ts';
import { resNetDenseStages, resNetImageStages } from './modifiedResNet.ts';
import { type TransformerParts, transformerParts } from './transformerParts.ts';
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

/** Read-outs that a tower has; a ResNet has no blocks to read in another way. */
export const readOutsOf = ({ kind }: Pick<VisionArchitecture, 'kind'>): readonly DenseReadOut[] =>
  kind === 'resnet' ? ['value'] : denseReadOuts;

/** `encode_image`: pixels `[B, 3, H, W]` → embeddings `[B, D]`, not normalised. The last block sees queries of the class token alone. */
export function imageStages(architecture: VisionArchitecture, batch: ImageBatch): VisionStage[] {
  if (architecture.kind === 'resnet') return resNetImageStages(architecture, batch);
  const parts = transformerParts(architecture);
  const last = architecture.layers - 1;
  return [
    ...trunkStages(architecture, batch, last),
    parts.classTokenBlock(batch, last),
    parts.imageHead(batch),
  ];
}

/**
 * `encode_dense`: pixels `[B, 3, H, W]` → dense features `[B · rows · columns, D]` of unit norm. Of a ResNet, `value`
 * is the pooling's own: each location's value, projected out.
 */
export function denseStages(
  architecture: VisionArchitecture,
  batch: ImageBatch,
  { readOut = 'value', layer = architecture.layers }: DenseOptions = {},
): VisionStage[] {
  if (!Number.isInteger(layer) || layer < 1 || layer > architecture.layers)
    throw new RangeError(`the tower has layers 1 to ${architecture.layers}; got ${layer}`);
  if (architecture.kind === 'resnet') {
    if (readOut !== 'value' || layer !== architecture.layers)
      throw new RangeError('a ResNet has the value read-out of its last stage only');
    return resNetDenseStages(architecture, batch);
  }
  return [
    ...trunkStages(architecture, batch, layer - 1),
    ...readOutStages(transformerParts(architecture), batch, layer - 1, readOut),
    transformerParts(architecture).denseHead(batch),
  ];
}

/** Stem and the first `blocks` blocks of a transformer: tokens `[B · (1 + rows · columns), width]`. */
export function trunkStages(
  architecture: VisionArchitecture,
  batch: ImageBatch,
  blocks: number,
): VisionStage[] {
  const parts = transformerParts(requireTransformer(architecture, 'tokens'));
  return [
    parts.stem(batch),
    ...Array.from({ length: blocks }, (_, index) => parts.attentionBlock(batch, index)),
  ];
}

/** From tokens to the attention weights of block `index` (from 0), `[B, heads, tokens, tokens]`. */
export function attentionStage(
  architecture: VisionArchitecture,
  batch: ImageBatch,
  index: number,
): VisionStage {
  const parts = transformerParts(requireTransformer(architecture, 'attention maps'));
  return parts.attentionWeights(batch, index);
}

/** The block that is read out, to patch tokens `[B · rows · columns, width]`. */
function readOutStages(
  parts: TransformerParts,
  batch: ImageBatch,
  index: number,
  readOut: DenseReadOut,
): VisionStage[] {
  switch (readOut) {
    case 'value':
      return [parts.valueBlock(batch, index)];
    case 'tokens':
      return [onlyPatches(parts.attentionBlock(batch, index), batch)];
    case 'queryQuery':
      return [onlyPatches(parts.selfLikenessBlock(batch, index, 'query'), batch)];
    case 'keyKey':
      return [onlyPatches(parts.selfLikenessBlock(batch, index, 'key'), batch)];
    case 'valueValue':
      return [onlyPatches(parts.selfLikenessBlock(batch, index, 'value'), batch)];
  }
}

const onlyPatches = (stage: VisionStage, batch: ImageBatch): VisionStage => ({
  ...stage,
  key: keyOf(`patches of ${stage.key}`, batch),
  output: patchTokens(stage.output, batch),
});
