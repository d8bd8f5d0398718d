import { multiply } from '../graph/operations/arithmetic.ts';
import { attend } from '../graph/operations/attend.ts';
import { reshape, transpose } from '../graph/operations/layout.ts';
import { softmax } from '../graph/operations/normalisation.ts';
import { matmul } from '../graph/operations/product.ts';
import { Value } from '../graph/value.ts';

/** Query, key and value of all tokens, each `[B, heads, tokens, d]`. */
export interface Heads {
  query: Value;
  key: Value;
  value: Value;
}

/** `[B, heads, tokens, d]` → `[B · tokens, width]` */
export function joinHeads(attended: Value): Value {
  const [batch, heads, tokens, channels] = attended.shape as [number, number, number, number];
  return reshape(transpose(attended, [0, 2, 1, 3]), [batch * tokens, heads * channels]);
}

/** q kᵀ / √d, `[B, heads, queries, keys]` */
export function attentionScores(query: Value, key: Value): Value {
  const scaled = multiply(query, Value.constant(1 / Math.sqrt(query.shape.at(-1)!)));
  return matmul(scaled, key, { transposeB: true });
}

/** softmax(q kᵀ / √d) v, `[B, heads, queries, d]` */
export const attention = (query: Value, key: Value, value: Value): Value =>
  attend(attentionScores(query, key), value);

/** softmax(q kᵀ / √d), `[B, heads, queries, keys]`: for looking at. */
export const attentionWeights = (query: Value, key: Value): Value => softmax(attentionScores(query, key));
