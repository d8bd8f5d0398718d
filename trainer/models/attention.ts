import { multiply } from '../graph/operations/arithmetic.ts';
import { attend } from '../graph/operations/attend.ts';
import { reshape, slice, transpose } from '../graph/operations/layout.ts';
import { multiHeadAttention } from '../graph/operations/multiHeadAttention.ts';
import { softmax } from '../graph/operations/normalisation.ts';
import { matmul } from '../graph/operations/product.ts';
import { inPieces, pieceLength, wholeBytes } from '../graph/pieces.ts';
import { Value } from '../graph/value.ts';
import { type ImageBatch, tokenCount } from './visionStage.ts';

/** What tokens ask, what they are asked by, and what they give. */
export interface Projections {
  query: Value;
  key: Value;
  value: Value;
}

/** Queries and keys; with `likeness`, both are that one of the projections. */
export const asking = (of: Projections, likeness?: keyof Projections): [query: Value, key: Value] =>
  likeness ? [of[likeness], of[likeness]] : [of.query, of.key];

/** `[B · tokens, width]` or `[B, tokens, width]` → `[B, heads, tokens, d]` */
export function partHeads(x: Value, images: number, heads: number): Value {
  const width = x.shape.at(-1)!;
  const byToken = reshape(x, [images, x.size / images / width, heads, width / heads]);
  return transpose(byToken, [0, 2, 1, 3]);
}

/** `[B, heads, tokens, d]` → `[B · tokens, width]` */
export function joinHeads(attended: Value): Value {
  const [batch, heads, tokens, channels] = attended.shape as [number, number, number, number];
  return reshape(transpose(attended, [0, 2, 1, 3]), [batch * tokens, heads * channels]);
}

/** q / √d */
export const scaled = (query: Value): Value =>
  multiply(query, Value.constant(1 / Math.sqrt(query.shape.at(-1)!)));

/** q kᵀ / √d, `[B, heads, queries, keys]` */
export const attentionScores = (query: Value, key: Value): Value =>
  matmul(scaled(query), key, { transposeB: true });

/** Attention weights of one product where there are many, or one head's: a card is quickest with few operations. */
const headGroupBytes = 64 * 2 ** 20;

/**
 * Whether a processor takes attention as one operation, which has no weights in memory: where the weights of all heads
 * are many, or where the block's own are constants.
 */
export const isOneOperation = (batch: ImageBatch, heads: number): boolean =>
  batch.frozen === true ||
  (batch.attentionPieceBytes !== undefined && 4 * batch.batch * heads * tokenCount(batch) ** 2 > wholeBytes);

/** Attention as one operation, of projected tokens `[B, tokens, width]` each → `[B · tokens, width]`. */
export function attentionAtOnce(
  query: Value,
  key: Value,
  value: Value,
  heads: number,
  { attentionPieceBytes }: ImageBatch,
): Value {
  const [images, tokens, width] = query.shape as [number, number, number];
  const attended = multiHeadAttention(query, key, value, heads, attentionPieceBytes);
  return reshape(attended, [images * tokens, width]);
}

/**
 * softmax(q kᵀ / √d) v, `[B, heads, queries, d]`. Of large images a few heads go at a time, so that memory does not grow
 * with their number: at 1024 px the weights of twelve heads take 805 MB.
 */
export function attention(query: Value, key: Value, value: Value): Value {
  const [, heads, queries] = query.shape as [number, number, number, number];
  const bytes = 4 * query.shape[0]! * queries * key.shape[2]!;
  const headsAtOnce = heads * bytes > wholeBytes ? pieceLength(bytes, headGroupBytes) : heads;
  return inPieces(1, heads, headsAtOnce, (head, lastHead) => {
    const part = (x: Value): Value => slice(x, 1, head, lastHead);
    return attend(scaled(part(query)), part(key), part(value));
  });
}

/** softmax(q kᵀ / √d), `[B, heads, queries, keys]`: for looking at. */
export const attentionWeights = (query: Value, key: Value): Value => softmax(attentionScores(query, key));
