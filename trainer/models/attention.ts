import { multiply } from '../graph/operations/arithmetic.ts';
import { attend } from '../graph/operations/attend.ts';
import { concat, reshape, slice, transpose } from '../graph/operations/layout.ts';
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

/** q / √d */
const scaled = (query: Value): Value => multiply(query, Value.constant(1 / Math.sqrt(query.shape.at(-1)!)));

/** q kᵀ / √d, `[B, heads, queries, keys]` */
export const attentionScores = (query: Value, key: Value): Value =>
  matmul(scaled(query), key, { transposeB: true });

/** Bytes of attention weights that one product may make; heads beyond it wait for their turn. */
const groupBytes = 64 * 2 ** 20;

/**
 * softmax(q kᵀ / √d) v, `[B, heads, queries, d]`. Heads of large images go in groups, so that the memory of a program
 * does not grow with their number: at 1024 px the weights of twelve heads take 805 MB.
 */
export function attention(query: Value, key: Value, value: Value): Value {
  const [batch, heads, queries] = query.shape as [number, number, number, number];
  const bytesOfHead = 4 * batch * queries * key.shape[2]!;
  const group = Math.max(1, Math.min(heads, Math.floor(groupBytes / bytesOfHead)));
  const groups: Value[] = [];
  for (let head = 0; head < heads; head += group) {
    const [q, k, v] = [query, key, value].map(part => slice(part, 1, head, Math.min(head + group, heads)));
    groups.push(attend(scaled(q!), k!, v!));
  }
  return groups.length === 1 ? groups[0]! : concat(groups, 1);
}

/** softmax(q kᵀ / √d), `[B, heads, queries, keys]`: for looking at. */
export const attentionWeights = (query: Value, key: Value): Value => softmax(attentionScores(query, key));
