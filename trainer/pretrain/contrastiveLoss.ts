import { l2Normalise } from '../graph/functions.ts';
import { add, exponential, logarithm, maximum, multiply, subtract } from '../graph/operations/arithmetic.ts';
import { reshape, transpose } from '../graph/operations/layout.ts';
import { softmax } from '../graph/operations/normalisation.ts';
import { matmul } from '../graph/operations/product.ts';
import { total } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';

/** Name of the parameter whose exponential multiplies the cosines, as CLIP's checkpoints have it. */
export const logitScaleName = 'logit_scale';

/** OpenCLIP keeps the scale of the logits between 1 and 100. */
export const logitScaleRange = { least: 0, most: Math.log(100) } as const;

/** A share below it counts as zero in `p · log p`. */
const tiny = 1e-30;

/**
 * CLIP's loss (Radford et al., 2021, figure 3): every image is to find its own text among those of the batch, and
 * every text its image. With cosines c of all pairs and the learned scale s,
 *
 *     L = ½ · mean over i of (−log softmaxⱼ(s·cᵢⱼ)ᵢ) + ½ · mean over j of (−log softmaxᵢ(s·cᵢⱼ)ⱼ)
 *
 * @param image `[G · B, D]`, not normalised; row i belongs to row i of `text`.
 * @param text `[G · B, D]`, not normalised.
 * @param logitScale Scalar, log s.
 * @param groups G: the rows are that many batches, each of which is told apart by itself.
 * @returns A scalar, the mean over the groups.
 */
export function contrastiveLoss(image: Value, text: Value, logitScale: Value, groups = 1): Value {
  const [count, width] = image.shape as [number, number];
  const scale = exponential(logitScale);
  const grouped = (rows: Value): Value => reshape(l2Normalise(rows), [groups, count / groups, width]);
  const [images, texts] = [grouped(image), grouped(text)];
  const logits = multiply(matmul(images, texts, { transposeB: true }), scale);
  const own = total(multiply(multiply(images, texts), scale));
  const spread = add(total(logSumExp(logits)), total(logSumExp(transpose(logits, [0, 2, 1]))));
  const sum = subtract(spread, multiply(own, Value.constant(2)));
  return multiply(sum, Value.constant(1 / (2 * count)));
}

/**
 * log Σ exp(x) of each row, spread over its elements: their sum is that of the rows' values. With p = softmax(x),
 * log Σ exp(x) = Σ p·x − Σ p·log p, which overflows nowhere because softmax does not.
 */
function logSumExp(x: Value): Value {
  const shares = softmax(x);
  return multiply(shares, subtract(x, logarithm(maximum(shares, Value.constant(tiny)))));
}
