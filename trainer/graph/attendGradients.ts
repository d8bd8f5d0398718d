import { multiply } from './operations/arithmetic.ts';
import { concat } from './operations/layout.ts';
import { softmax } from './operations/normalisation.ts';
import { matmul } from './operations/product.ts';
import { broadcastTo, sum } from './operations/reduction.ts';
import { Value } from './value.ts';

/**
 * Gradients of p = softmax(q kᵀ) with respect to q and k.
 *
 * @param centred the upstream u of p, less its mean under the weights in each row: u − Σ p·u.
 */
export function likenessGradients(
  weights: Value,
  [query, key]: readonly [Value, Value],
  centred: Value,
): [query: Value, key: Value] {
  const scores = multiply(weights, centred);
  return [matmul(scores, key), matmul(scores, query, { transposeA: true })];
}

/**
 * Gradients of o = p · v with respect to p, centred as `likenessGradients` takes it, and v. The mean of u = ∂O·Vᵀ under the
 * weights is ∂O·O, a number a row: one more column of ∂O against −1 in V takes it off in the same product, where softmax by
 * itself would pass over the attention matrix three times more.
 */
export function mixGradients(
  [weights, values]: readonly [Value, Value],
  mixed: Value,
  upstream: Value,
): [weights: Value, values: Value] {
  const mean = sum(multiply(upstream, mixed), [-1]);
  const column = broadcastTo(Value.constant(-1), [...values.shape.slice(0, -1), 1]);
  const centred = matmul(concat([upstream, mean], -1), concat([values, column], -1), { transposeB: true });
  return [centred, matmul(weights, upstream, { transposeA: true })];
}

/**
 * Gradients of o = softmax(q kᵀ) · v where o is known and the weights are not: they are made again. Shapes as `attend` has
 * them.
 */
export function attendGradients(
  [query, key, values]: readonly [Value, Value, Value],
  mixed: Value,
  upstream: Value,
): [query: Value, key: Value, values: Value] {
  const weights = softmax(matmul(query, key, { transposeB: true }));
  const [centred, ofValues] = mixGradients([weights, values], mixed, upstream);
  return [...likenessGradients(weights, [query, key], centred), ofValues];
}
