import { add } from '../graph/operations/arithmetic.ts';
import { attendByScores } from '../graph/operations/attend.ts';
import { reshape, transpose } from '../graph/operations/layout.ts';
import { matmul } from '../graph/operations/product.ts';
import type { Value } from '../graph/value.ts';
import { scaled } from './attention.ts';

/**
 * Where the class token of an image asks alone, the keys and values of the other tokens need not be made: with
 * projections W of a head, q · (W x) is (q W) · x, and Σ p (W x) is W (Σ p x).
 */

/** `[width, width]` → `[heads, d, width]` */
const byHead = (weight: Value, heads: number): Value =>
  reshape(weight, [heads, weight.shape[0]! / heads, weight.shape[1]!]);

/** `[B, heads, …]` ↔ `[heads, B, …]` */
const swap = (tensor: Value): Value => transpose(tensor, [1, 0, 2]);

/**
 * q kᵀ / √d of class tokens with all tokens x of their images. The bias of keys adds the same to all scores of a
 * query, which softmax does not see.
 *
 * @param query `[B, width]`
 * @param tokens normed, `[B, tokens, width]`
 * @param keyWeight `[width, width]`
 * @returns `[B, heads, tokens]`
 */
export function classTokenScores(query: Value, tokens: Value, keyWeight: Value, heads: number): Value {
  const [images, width] = query.shape as [number, number];
  const asking = swap(reshape(query, [images, heads, width / heads]));
  return matmul(swap(matmul(scaled(asking), byHead(keyWeight, heads))), tokens, { transposeB: true });
}

/**
 * softmax(scores) v of class tokens, heads side by side. Weights sum to 1, so that the bias of values comes through as it is.
 *
 * @param scores `[B, heads, tokens]`
 * @param tokens normed, `[B, tokens, width]`
 * @param valueWeight `[width, width]`
 * @param valueBias `[width]`
 * @returns `[B, width]`
 */
export function classTokenMix(scores: Value, tokens: Value, valueWeight: Value, valueBias: Value): Value {
  const [images, heads] = scores.shape as [number, number];
  const mixed = swap(attendByScores(scores, tokens));
  const attended = matmul(mixed, byHead(valueWeight, heads), { transposeB: true });
  return add(reshape(swap(attended), [images, valueBias.shape[0]!]), valueBias);
}
