import { l2Normalise } from '../graph/functions.ts';
import { add } from '../graph/operations/arithmetic.ts';
import { concat, reshape, slice, transpose } from '../graph/operations/layout.ts';
import { layerNorm } from '../graph/operations/normalisation.ts';
import { matmul } from '../graph/operations/product.ts';
import { broadcastTo } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';
import { type ClipVitArchitecture, gridSide, type VisionArchitecture } from './architecture.ts';
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
export function stem(architecture: ClipVitArchitecture, batch: ImageBatch): VisionStage {
  const { width, patchSize } = architecture;
  const { values, parameters } = parameterInputs('visual.', {
    'conv1.weight': [width, 3, patchSize, patchSize],
    class_embedding: [width],
    positional_embedding: [1 + gridSide(architecture) ** 2, width],
    'ln_pre.weight': [width],
    'ln_pre.bias': [width],
  });
  const kernel = reshape(values['conv1.weight'], [width, 3 * patchSize * patchSize]);
  const embedded = matmul(unfold(batch, patchSize), kernel, { transposeB: true });
  const placed = withPositions(
    architecture,
    batch,
    embedded,
    values.class_embedding,
    values.positional_embedding,
  );
  const output = layerNorm(placed, values['ln_pre.weight'], values['ln_pre.bias'], layerNormEpsilon);
  return { key: stemKey(architecture, batch), output, parameters };
}

/** A stem of the same grid takes other pixels when the image does not end with a whole patch. */
export function stemKey({ patchSize }: VisionArchitecture, batch: ImageBatch): string {
  const { height, width } = batch;
  return keyOf(height % patchSize || width % patchSize ? `stem of ${height}x${width} pixels` : 'stem', batch);
}

/**
 * Pixels → one row of channel-major pixels a patch, `[B · rows · columns, 3 · patch²]`: the convolution with stride =
 * kernel as a product. Pixels beyond the last whole patch are left out, as that convolution does.
 */
export function unfold({ batch, height, width, rows, columns }: ImageBatch, patch: number): Value {
  let pixels = Value.input('input', [batch, 3, height, width]);
  if (height !== rows * patch) pixels = slice(pixels, 2, 0, rows * patch);
  if (width !== columns * patch) pixels = slice(pixels, 3, 0, columns * patch);
  const split = reshape(pixels, [batch, 3, rows, patch, columns, patch]);
  return reshape(transpose(split, [0, 2, 4, 1, 3, 5]), [batch * rows * columns, 3 * patch * patch]);
}

/**
 * Puts the class token before the patches and adds the positions of this grid.
 *
 * @param embedded patches `[B · rows · columns, width]`
 * @param classEmbedding `[width]`
 * @param positions of the pretraining grid, class token first, `[1 + own grid, width]`
 * @returns `[B · tokens, width]`
 */
export function withPositions(
  architecture: VisionArchitecture,
  batch: ImageBatch,
  embedded: Value,
  classEmbedding: Value,
  positions: Value,
): Value {
  const { width } = architecture;
  const patches = reshape(embedded, [batch.batch, batch.rows * batch.columns, width]);
  const classToken = broadcastTo(reshape(classEmbedding, [1, 1, width]), [batch.batch, 1, width]);
  const tokens = concat([classToken, patches], 1);
  const placed = add(tokens, positionsFor(architecture, batch, positions));
  return reshape(placed, [batch.batch * tokenCount(batch), width]);
}

/** Positions of this grid `[tokens, channels]`, from those of the pretraining grid with the class token first. */
export function positionsFor(architecture: VisionArchitecture, batch: ImageBatch, embedding: Value): Value {
  if (!needsInterpolation(architecture, batch)) return embedding;
  const count = batch.rows * batch.columns;
  const own = embedding.shape[0]! - 1;
  const interpolation = Value.input(interpolationInput, [count, own]);
  return concat([slice(embedding, 0, 0, 1), matmul(interpolation, slice(embedding, 0, 1, own + 1))], 0);
}

/** `ln_post` and the projection to the embedding space. */
export function project(architecture: ClipVitArchitecture, rows: number) {
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

export function imageHead(architecture: ClipVitArchitecture, batch: ImageBatch): VisionStage {
  const { projected, parameters } = project(architecture, batch.batch);
  return { key: keyOf('image head', batch), output: projected, parameters };
}

export function denseHead(architecture: ClipVitArchitecture, batch: ImageBatch): VisionStage {
  const { projected, parameters } = project(architecture, batch.batch * batch.rows * batch.columns);
  return { key: keyOf('dense head', batch), output: l2Normalise(projected), parameters };
}
