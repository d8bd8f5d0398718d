import { l2Normalise } from '../graph/functions.ts';
import { add, multiply, negate } from '../graph/operations/arithmetic.ts';
import { reshape } from '../graph/operations/layout.ts';
import { matmul } from '../graph/operations/product.ts';
import { sum, total } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';
import type { LossGraph, RegionShape } from './regionLoss.ts';

/**
 * CLIPSelf (Wu et al., ICLR 2024, section 3.2). The image is cut into a grid of patches. The frozen teacher embeds
 * each patch as an image crop, t; the student pools its dense feature map over the same box, s; the distance
 *
 *     L = 1 − mean over boxes of cos(s, t)
 *
 * is minimised over the student's blocks. The mean runs over all boxes of the batch, not image by image.
 *
 * Inputs of the graph:
 * - `dense`   [batch · tokens, D]       the student's dense features, unit norm
 * - `pooling` [batch, maxBoxes, tokens] RoIAlign as a matrix: a row averages the bilinear samples inside a box
 * - `teacher` [batch, maxBoxes, D]      embeddings of the crops
 * - `weights` [batch, maxBoxes]         weight of the loss / number of boxes of the step; 0 in rows without a box
 *
 * Outputs: `loss`, a scalar, and `cosines` [batch, maxBoxes].
 */
export function clipSelfLoss({ batch, tokens, maxBoxes, embeddingDimension }: RegionShape): LossGraph {
  const dense = Value.input('dense', [batch * tokens, embeddingDimension]);
  const pooling = Value.input('pooling', [batch, maxBoxes, tokens]);
  const teacher = Value.input('teacher', [batch, maxBoxes, embeddingDimension]);
  const weights = Value.input('weights', [batch, maxBoxes]);

  const student = matmul(pooling, reshape(dense, [batch, tokens, embeddingDimension]));
  const agreement = sum(multiply(l2Normalise(student), l2Normalise(teacher)), [-1]);
  const cosines = reshape(agreement, [batch, maxBoxes]);
  const distances = add(Value.constant(1), negate(cosines));
  return { loss: total(multiply(weights, distances)), cosines };
}
