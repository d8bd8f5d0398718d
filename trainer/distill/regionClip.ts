import { l2Normalise } from '../graph/functions.ts';
import {
  add,
  exponential,
  logarithm,
  maximum,
  multiply,
  negate,
  subtract,
} from '../graph/operations/arithmetic.ts';
import { reshape } from '../graph/operations/layout.ts';
import { matmul } from '../graph/operations/product.ts';
import { sum, total } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';
import type { KeyedRandom } from '../random.ts';
import type { LossGraph, RegionShape } from './regionLoss.ts';

/** Classes that a step tells apart: as many in the published code. */
const federatedClasses = 100;

export interface RegionClipShape extends RegionShape {
  /** Classes of the step. */
  classes: number;
}

/**
 * Training on region–noun pairs in the style of RegionCLIP, the paper's baseline with labels (Wu et al., ICLR 2024,
 * figure 2a). The student pools its dense feature map over a region, f; n are the embeddings of nouns, τ the model's
 * temperature, which stays as it is; z is 1 for the region's own noun:
 *
 *     x = exp(τ) · cos(f, n),    L = mean over boxes of Σ over classes of BCE(x, z)
 *
 * The sum is federated: it runs over the classes of the step alone.
 *
 * Inputs of the graph:
 * - `dense`       [batch · tokens, D]          the student's dense features, unit norm
 * - `pooling`     [batch, maxBoxes, tokens]    RoIAlign as a matrix
 * - `nouns`       [classes, D]                 embeddings of the step's classes, unit norm
 * - `targets`     [batch, maxBoxes, classes]   one-hot; zero in rows without a box
 * - `temperature` []                           exp(τ)
 * - `weights`     [batch, maxBoxes]            1 / number of boxes of the step; 0 in rows without a box
 *
 * Outputs: `loss`, a scalar, and `cosines` [batch, maxBoxes] of each region with its own noun.
 */
export function regionClipLoss({
  batch,
  tokens,
  maxBoxes,
  embeddingDimension,
  classes,
}: RegionClipShape): LossGraph {
  const dense = Value.input('dense', [batch * tokens, embeddingDimension]);
  const pooling = Value.input('pooling', [batch, maxBoxes, tokens]);
  const nouns = Value.input('nouns', [classes, embeddingDimension]);
  const targets = Value.input('targets', [batch, maxBoxes, classes]);
  const weights = Value.input('weights', [batch, maxBoxes]);

  const regions = matmul(pooling, reshape(dense, [batch, tokens, embeddingDimension]));
  const rows = reshape(l2Normalise(regions), [batch * maxBoxes, embeddingDimension]);
  const cosines = reshape(matmul(rows, nouns, { transposeB: true }), [batch, maxBoxes, classes]);
  const logits = multiply(Value.input('temperature', []), cosines);
  const byBox = reshape(sum(binaryCrossEntropy(logits, targets), [-1]), [batch, maxBoxes]);
  return {
    loss: total(multiply(weights, byBox)),
    cosines: reshape(sum(multiply(cosines, targets), [-1]), [batch, maxBoxes]),
  };
}

/** −z·log σ(x) − (1 − z)·log(1 − σ(x)) = max(x, 0) − x·z + log(1 + exp(−|x|)), which never overflows. */
export function binaryCrossEntropy(logits: Value, targets: Value): Value {
  const magnitude = maximum(logits, negate(logits));
  const hinge = subtract(maximum(logits, Value.constant(0)), multiply(logits, targets));
  return add(hinge, logarithm(add(Value.constant(1), exponential(negate(magnitude)))));
}

/**
 * Classes that a step tells apart: those of its boxes, ascending, then others drawn uniformly without repetition until
 * there are `limit`. More appear: all of those and no other.
 *
 * @param labels Class of each box of the step.
 * @param classCount Classes there are.
 */
export function drawClasses(
  labels: Iterable<number>,
  classCount: number,
  random: KeyedRandom,
  limit: number = federatedClasses,
): number[] {
  const appeared = [...new Set(labels)].sort((a, b) => a - b);
  const known = new Set(appeared);
  const others = Array.from({ length: classCount }, (_, index) => index).filter(index => !known.has(index));
  return [...appeared, ...random.shuffle(others).slice(0, Math.max(0, limit - appeared.length))];
}
