/**
 * Attention rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020, section 3): how much of
 * each input token reaches a token of the last layer when every layer passes on half residual, half attention.
 */

/**
 * The mean over heads of one layer's attention weights.
 *
 * @param attention [heads, tokens, tokens], rows sum to 1.
 * @returns [tokens, tokens].
 */
export function meanOverHeads(attention: Float32Array, heads: number): Float32Array {
  const size = attention.length / heads;
  if (!Number.isInteger(size)) throw new Error(`${attention.length} weights are not those of ${heads} heads`);
  const mean = new Float32Array(size);
  for (let head = 0; head < heads; head++)
    for (let index = 0; index < size; index++) mean[index]! += attention[head * size + index]!;
  for (let index = 0; index < size; index++) mean[index]! /= heads;
  return mean;
}

/**
 * One row of the rollout. The row alone is pushed through the layers from the last to the first, because the whole
 * matrix of a large image would cost tokens³ products a layer.
 *
 * @param layers Mean attention of each layer from the first on, each [tokens, tokens].
 * @param query The token of the last layer that is asked about; 0 is the class token.
 * @returns [tokens], the share of each input token; sums to 1.
 */
export function attentionRollout(
  layers: readonly Float32Array[],
  tokens: number,
  query: number,
): Float32Array {
  if (!(Number.isInteger(query) && query >= 0 && query < tokens))
    throw new Error(`token ${query} is none of ${tokens}`);
  let row = new Float64Array(tokens);
  row[query] = 1;
  for (let layer = layers.length - 1; layer >= 0; layer--) row = throughLayer(row, layers[layer]!, layer);
  return Float32Array.from(row);
}

/** row · (A + I), each row of A + I brought to sum 1. */
function throughLayer(row: Float64Array, attention: Float32Array, layer: number): Float64Array<ArrayBuffer> {
  const tokens = row.length;
  if (attention.length !== tokens * tokens)
    throw new Error(`layer ${layer} has ${attention.length} weights, not those of ${tokens} tokens`);
  const next = new Float64Array(tokens);
  for (let from = 0; from < tokens; from++) {
    const share = row[from]!;
    if (share === 0) continue;
    const start = from * tokens;
    let sum = 1;
    for (let to = 0; to < tokens; to++) sum += attention[start + to]!;
    for (let to = 0; to < tokens; to++) next[to]! += (share * attention[start + to]!) / sum;
    next[from]! += share / sum;
  }
  return next;
}
