import type { ClipVitArchitecture, Eva02Architecture } from './architecture.ts';
import type { Projections } from './attention.ts';
import {
  evaAttentionBlock,
  evaAttentionWeightsStage,
  evaClassTokenBlock,
  evaSelfLikenessBlock,
  evaValueBlock,
} from './evaBlock.ts';
import { evaDenseHead, evaImageHead, evaStem } from './evaStemAndHead.ts';
import {
  attentionBlock,
  attentionWeightsStage,
  classTokenBlock,
  selfLikenessBlock,
  valueBlock,
} from './residualBlock.ts';
import { denseHead, imageHead, stem } from './stemAndHead.ts';
import type { ImageBatch, VisionStage } from './visionStage.ts';

/** The stages that a family of vision transformers is assembled from. Blocks count from 0. */
export interface TransformerParts {
  /** Pixels → tokens. */
  stem(batch: ImageBatch): VisionStage;
  /** Tokens → tokens. */
  attentionBlock(batch: ImageBatch, index: number): VisionStage;
  selfLikenessBlock(batch: ImageBatch, index: number, projection: keyof Projections): VisionStage;
  /** Tokens → attention weights `[B, heads, tokens, tokens]`. */
  attentionWeights(batch: ImageBatch, index: number): VisionStage;
  /** Tokens → class tokens `[B, width]`. */
  classTokenBlock(batch: ImageBatch, index: number): VisionStage;
  /** Tokens → patch tokens `[B · rows · columns, width]`, without attention. */
  valueBlock(batch: ImageBatch, index: number): VisionStage;
  /** Class tokens → embeddings. */
  imageHead(batch: ImageBatch): VisionStage;
  /** Patch tokens → dense features of unit norm. */
  denseHead(batch: ImageBatch): VisionStage;
}

export function transformerParts(architecture: ClipVitArchitecture | Eva02Architecture): TransformerParts {
  return architecture.kind === 'eva02' ? evaParts(architecture) : clipVitParts(architecture);
}

const clipVitParts = (architecture: ClipVitArchitecture): TransformerParts => ({
  stem: batch => stem(architecture, batch),
  attentionBlock: (batch, index) => attentionBlock(architecture, batch, index),
  selfLikenessBlock: (batch, index, projection) => selfLikenessBlock(architecture, batch, index, projection),
  attentionWeights: (batch, index) => attentionWeightsStage(architecture, batch, index),
  classTokenBlock: (batch, index) => classTokenBlock(architecture, batch, index),
  valueBlock: (batch, index) => valueBlock(architecture, batch, index),
  imageHead: batch => imageHead(architecture, batch),
  denseHead: batch => denseHead(architecture, batch),
});

const evaParts = (architecture: Eva02Architecture): TransformerParts => ({
  stem: batch => evaStem(architecture, batch),
  attentionBlock: (batch, index) => evaAttentionBlock(architecture, batch, index),
  selfLikenessBlock: (batch, index, projection) =>
    evaSelfLikenessBlock(architecture, batch, index, projection),
  attentionWeights: (batch, index) => evaAttentionWeightsStage(architecture, batch, index),
  classTokenBlock: (batch, index) => evaClassTokenBlock(architecture, batch, index),
  valueBlock: (batch, index) => evaValueBlock(architecture, batch, index),
  imageHead: batch => evaImageHead(architecture, batch),
  denseHead: batch => evaDenseHead(architecture, batch),
});
