import { l2Normalise } from '../graph/functions.ts';
import { add } from '../graph/operations/arithmetic.ts';
import { concat, reshape, slice, transpose } from '../graph/operations/layout.ts';
import { layerNorm } from '../graph/operations/normalisation.ts';
import { matmul } from '../graph/operations/product.ts';
import { broadcastTo } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';
import { gridSide, type VisionArchitecture } from './architecture.ts';
import {
  type ImageBatch,
  keyOf,
  layerNormEpsilon,
  parameterInputs,
  tokenCount,
  type VisionStage,
} from './visionStage.ts';

/** Name of the stem's input that maps the pretraining grid's positions to this grid, `[rows · columns, own grid]`. */
export const interpolationInput = 'interpolation';

/** Whether the positions have to be interpolated for this grid. */
export function needsInterpolation(architecture: VisionArchitecture, { rows, columns }: ImageBatch): boolean {
  const own = gridSide(architecture);
  return own !== rows || own !== columns;
}

/** Patch embedding, class token, interpolated positions, `ln_pre`. */
export function stem(architecture: VisionArchitecture, batch: ImageBatch): VisionStage {
  const { width, patchSize } = architecture;
  const { values, parameters } = parameterInputs('visual.', {
    'conv1.weight': [width, 3, patchSize, patchSize],
    class_embedding: [width],
    positional_embedding: [1 + gridSide(architecture) ** 2, width],
    'ln_pre.weight': [width],
    'ln_pre.bias': [width],
  });
  const patches = unfold(batch, patchSize);
  const kernel = reshape(values['conv1.weight'], [width, 3 * patchSize * patchSize]);
  const count = batch.rows * batch.columns;
  const embedded = reshape(matmul(patches, kernel, { transposeB: true }), [batch.batch, count, width]);
  const classToken = broadcastTo(reshape(values.class_embedding, [1, 1, width]), [batch.batch, 1, width]);
  const tokens = concat([classToken, embedded], 1);
  const positions = positionsFor(architecture, batch, values.positional_embedding);
  const placed = reshape(add(tokens, positions), [batch.batch * tokenCount(batch), width]);
  const output = layerNorm(placed, values['ln_pre.weight'], values['ln_pre.bias'], layerNormEpsilon);
  return { key: keyOf('stem', batch), output, parameters };
}

/** Pixels → one row of channel-major pixels a patch: the convolution with stride = kernel as a product. */
function unfold({ batch, rows, columns }: ImageBatch, patch: number): Value {
  const pixels = Value.input('input', [batch, 3, rows * patch, columns * patch]);
  const split = reshape(pixels, [batch, 3, rows, patch, columns, patch]);
  return reshape(transpose(split, [0, 2, 4, 1, 3, 5]), [batch * rows * columns, 3 * patch * patch]);
}

function positionsFor(architecture: VisionArchitecture, batch: ImageBatch, embedding: Value): Value {
  if (!needsInterpolation(architecture, batch)) return embedding;
  const count = batch.rows * batch.columns;
  const own = embedding.shape[0]! - 1;
  const interpolation = Value.input(interpolationInput, [count, own]);
  return concat([slice(embedding, 0, 0, 1), matmul(interpolation, slice(embedding, 0, 1, own + 1))], 0);
}

/** `ln_post` and the projection to the embedding space. */
export function project(architecture: VisionArchitecture, rows: number) {
  const { width, embeddingDimension } = architecture;
  const { values, parameters } = parameterInputs('visual.', {
    'ln_post.weight': [width],
    'ln_post.bias': [width],
    proj: [width, embeddingDimension],
  });
  const x = Value.input('input', [rows, width]);
  const normed = layerNorm(x, values['ln_post.weight'], values['ln_post.bias'], layerNormEpsilon);
  return { projected: matmul(normed, values.proj), parameters };
}

export function imageHead(architecture: VisionArchitecture, batch: ImageBatch): VisionStage {
  const { projected, parameters } = project(architecture, batch.batch);
  return { key: keyOf('image head', batch), output: projected, parameters };
}

export function denseHead(architecture: VisionArchitecture, batch: ImageBatch): VisionStage {
  const { projected, parameters } = project(architecture, batch.batch * batch.rows * batch.columns);
  return { key: keyOf('dense head', batch), output: l2Normalise(projected), parameters };
}
