import { multiply } from '../graph/operations/arithmetic.ts';
import { attend } from '../graph/operations/attend.ts';
import { reshape, slice, transpose } from '../graph/operations/layout.ts';
import { softmax } from '../graph/operations/normalisation.ts';
import { matmul } from '../graph/operations/product.ts';
import { Value } from '../graph/value.ts';
import { inPieces, pieceLength, wholeBytes } from './pieces.ts';
import { type ImageBatch, tokenCount } from './visionStage.ts';

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
export const scaled = (query: Value): Value =>
  multiply(query, Value.constant(1 / Math.sqrt(query.shape.at(-1)!)));

/** q kᵀ / √d, `[B, heads, queries, keys]` */
export const attentionScores = (query: Value, key: Value): Value =>
  matmul(scaled(query), key, { transposeB: true });

/** What one product makes of larger ones on a card, or one head: a card is quickest with few operations. */
const cardGroupBytes = 64 * 2 ** 20;

/** Bytes of the attention weights of one query, of one head of all images. */
const bytesOfQuery = (query: Value, key: Value): number => 4 * query.shape[0]! * key.shape[2]!;

/** Whether attention weights are too many to be made as a whole. */
export const goesInPieces = (query: Value, key: Value): boolean =>
  query.shape[1]! * query.shape[2]! * bytesOfQuery(query, key) > wholeBytes;

/**
 * Whether a pass without gradients takes attention as one operation, which has no weights in memory: where the weights
 * of all heads are many, or where the block's own are constants.
 */
export const isOneOperation = (batch: ImageBatch, heads: number): boolean =>
  batch.frozen === true ||
  (batch.hiddenPieceBytes !== undefined && 4 * batch.batch * heads * tokenCount(batch) ** 2 > wholeBytes);

/**
 * softmax(q kᵀ / √d) v, `[B, heads, queries, d]`. Of large images a few heads, or some queries of one head, go at a
 * time, so that memory does not grow with their number: at 1024 px the weights of twelve heads take 805 MB.
 *
 * @param pieceBytes what a processor makes of them at a time, see `Engine.pieceBytes`.
 */
export function attention(query: Value, key: Value, value: Value, pieceBytes?: number): Value {
  if (!goesInPieces(query, key)) return attend(scaled(query), key, value);
  const [, heads, queries] = query.shape as [number, number, number, number];
  const bytes = bytesOfQuery(query, key);
  const headsAtOnce = pieceLength(queries * bytes, pieceBytes ?? cardGroupBytes);
  const whole = pieceBytes === undefined || queries * bytes <= wholeBytes;
  const queriesAtOnce = whole ? queries : pieceLength(bytes, pieceBytes);
  return inPieces(1, heads, headsAtOnce, (head, lastHead) => {
    const part = (x: Value): Value => slice(x, 1, head, lastHead);
    const [q, k, v] = [scaled(part(query)), part(key), part(value)];
    // Out of a processor's caches comes what was kept no sooner than it is computed again.
    const kept = pieceBytes === undefined ? 'keepWhenAmple' : 'recompute';
    return inPieces(2, queries, queriesAtOnce, (from, to) => attend(slice(q, 2, from, to), k, v, kept));
  });
}

/** softmax(q kᵀ / √d), `[B, heads, queries, keys]`: for looking at. */
export const attentionWeights = (query: Value, key: Value): Value => softmax(attentionScores(query, key));
