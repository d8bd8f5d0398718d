import { silu } from '../graph/operations/activation.ts';
import { add, multiply } from '../graph/operations/arithmetic.ts';
import { concat, reshape, slice, transpose } from '../graph/operations/layout.ts';
import { multiHeadAttention } from '../graph/operations/multiHeadAttention.ts';
import { layerNorm } from '../graph/operations/normalisation.ts';
import { affine, matmul } from '../graph/operations/product.ts';
import { Value } from '../graph/value.ts';
import type { Eva02Architecture } from './architecture.ts';
import {
  attention,
  attentionScores,
  attentionWeights,
  goesInPieces,
  type Heads,
  isOneOperation,
  joinHeads,
} from './attention.ts';
import { classTokenMix } from './classTokenAttention.ts';
import { byRows } from './pieces.ts';
import { rotation } from './rotaryPositions.ts';
import {
  classTokens,
  frozenImage,
  type ImageBatch,
  keyOf,
  parameterInputs,
  patchTokens,
  tokenCount,
  type VisionStage,
} from './visionStage.ts';

/** Epsilon of every layer normalisation in EVA-02's image tower. */
export const evaLayerNormEpsilon = 1e-6;

function evaBlockParameters({ width, mlpWidth }: Eva02Architecture, index: number) {
  return parameterInputs(`visual.blocks.${index}.`, {
    'norm1.weight': [width],
    'norm1.bias': [width],
    'attn.q_proj.weight': [width, width],
    'attn.k_proj.weight': [width, width],
    'attn.v_proj.weight': [width, width],
    'attn.q_bias': [width],
    'attn.v_bias': [width],
    'attn.inner_attn_ln.weight': [width],
    'attn.inner_attn_ln.bias': [width],
    'attn.proj.weight': [width, width],
    'attn.proj.bias': [width],
    'norm2.weight': [width],
    'norm2.bias': [width],
    'mlp.w1.weight': [mlpWidth, width],
    'mlp.w1.bias': [mlpWidth],
    'mlp.w2.weight': [mlpWidth, width],
    'mlp.w2.bias': [mlpWidth],
    'mlp.ffn_ln.weight': [mlpWidth],
    'mlp.ffn_ln.bias': [mlpWidth],
    'mlp.w3.weight': [width, mlpWidth],
    'mlp.w3.bias': [width],
  });
}

type EvaBlockValues = ReturnType<typeof evaBlockParameters>['values'];

const norm = (x: Value, weight: Value, bias: Value): Value => layerNorm(x, weight, bias, evaLayerNormEpsilon);

/** Input, parameters and first norm that every kind of block begins with. */
function openEvaBlock(architecture: Eva02Architecture, batch: ImageBatch, index: number) {
  const { values, parameters } = evaBlockParameters(architecture, index);
  const x = Value.input('input', [batch.batch * tokenCount(batch), architecture.width]);
  const normed = norm(x, values['norm1.weight'], values['norm1.bias']);
  return { values, parameters, x, normed };
}

/** `[B · tokens, width]` → `[B, heads, tokens, d]` */
function partHeads({ heads, width }: Eva02Architecture, x: Value, batch: number): Value {
  const tokens = x.shape[0]! / batch;
  return transpose(reshape(x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
}

/**
 * Query, key and value of normed tokens, each `[B · tokens, width]`; queries and keys are turned by their positions. The
 * key has no bias.
 */
function projectEva(
  architecture: Eva02Architecture,
  values: EvaBlockValues,
  normed: Value,
  batch: ImageBatch,
): [Value, Value, Value] {
  const query = affine(normed, values['attn.q_proj.weight'], values['attn.q_bias']);
  const key = matmul(normed, values['attn.k_proj.weight'], { transposeB: true });
  const value = affine(normed, values['attn.v_proj.weight'], values['attn.v_bias']);
  const turned = rotation(architecture, batch);
  return [turned(query), turned(key), value];
}

/** The same as heads, each `[B, heads, tokens, d]`. */
function projectEvaHeads(
  architecture: Eva02Architecture,
  values: EvaBlockValues,
  normed: Value,
  batch: ImageBatch,
): Heads {
  const [query, key, value] = projectEva(architecture, values, normed, batch).map(x =>
    partHeads(architecture, x, batch.batch),
  ) as [Value, Value, Value];
  return goesInPieces(query, key) ? throughOneTensor({ query, key, value }) : { query, key, value };
}

/**
 * The same heads, out of one tensor where their gradients meet. Apart, ONNX Runtime works out all attention weights for
 * the gradient of one of them and holds them until it comes to the next: 0.7 GiB more at 1024 px.
 */
function throughOneTensor({ query, key, value }: Heads): Heads {
  const packed = concat(
    [query, key, value].map(part => reshape(part, [1, ...part.shape])),
    0,
  );
  const part = (index: number): Value => reshape(slice(packed, 0, index, index + 1), query.shape);
  return { query: part(0), key: part(1), value: part(2) };
}

/** The rest of a block after its tokens have looked: inner norm, output projection, residual, MLP. */
function closeEvaBlock(
  values: EvaBlockValues,
  x: Value,
  joined: Value,
  { hiddenPieceBytes }: Pick<ImageBatch, 'hiddenPieceBytes'> = {},
): Value {
  const inner = norm(joined, values['attn.inner_attn_ln.weight'], values['attn.inner_attn_ln.bias']);
  const attended = add(x, affine(inner, values['attn.proj.weight'], values['attn.proj.bias']));
  const normed = norm(attended, values['norm2.weight'], values['norm2.bias']);
  const bytesOfRow = 4 * values['mlp.w1.bias'].size;
  return add(
    attended,
    byRows(normed, bytesOfRow, hiddenPieceBytes, rows => swiGlu(values, rows)),
  );
}

/** w3(ffn_ln(silu(w1 x) · w2 x)) */
function swiGlu(values: EvaBlockValues, x: Value): Value {
  const gate = affine(x, values['mlp.w1.weight'], values['mlp.w1.bias']);
  const hidden = affine(x, values['mlp.w2.weight'], values['mlp.w2.bias']);
  const gated = multiply(silu(gate), hidden);
  const normed = norm(gated, values['mlp.ffn_ln.weight'], values['mlp.ffn_ln.bias']);
  return affine(normed, values['mlp.w3.weight'], values['mlp.w3.bias']);
}

/** Pre-norm residual block with attention among all tokens of an image. */
export function evaAttentionBlock(
  architecture: Eva02Architecture,
  batch: ImageBatch,
  index: number,
): VisionStage {
  const { values, parameters, x, normed } = openEvaBlock(architecture, batch, index);
  const joined = isOneOperation(batch, architecture.heads)
    ? attentionAtOnce(architecture, values, normed, batch)
    : joinHeads(attendingHeads(architecture, values, normed, batch));
  const output = closeEvaBlock(values, x, joined, batch);
  const frozen = (): VisionStage => evaAttentionBlock(architecture, frozenImage(batch), index);
  return { key: keyOf('EVA block', batch), output, parameters, frozen };
}

function attendingHeads(
  architecture: Eva02Architecture,
  values: EvaBlockValues,
  normed: Value,
  batch: ImageBatch,
): Value {
  const { query, key, value } = projectEvaHeads(architecture, values, normed, batch);
  return attention(query, key, value, batch.attentionPieceBytes);
}

/** Attention as one operation, `[B · tokens, width]`. */
function attentionAtOnce(
  architecture: Eva02Architecture,
  values: EvaBlockValues,
  normed: Value,
  batch: ImageBatch,
): Value {
  const { heads, width } = architecture;
  const [query, key, value] = projectEva(architecture, values, normed, batch).map(x =>
    reshape(x, [batch.batch, tokenCount(batch), width]),
  ) as [Value, Value, Value];
  return reshape(multiHeadAttention(query, key, value, heads), normed.shape);
}

/** A block whose tokens attend by likeness of one projection with itself; the rest of the block stays. */
export function evaSelfLikenessBlock(
  architecture: Eva02Architecture,
  batch: ImageBatch,
  index: number,
  projection: keyof Heads,
): VisionStage {
  const { values, parameters, x, normed } = openEvaBlock(architecture, batch, index);
  const heads = projectEvaHeads(architecture, values, normed, batch);
  const joined = joinHeads(
    attention(heads[projection], heads[projection], heads.value, batch.attentionPieceBytes),
  );
  const output = closeEvaBlock(values, x, joined, batch);
  const key = keyOf(`EVA ${projection} likeness block`, batch);
  return { key, output, parameters };
}

/** The attention weights of a block, `[B, heads, tokens, tokens]`: for looking at, not for going on. */
export function evaAttentionWeightsStage(
  architecture: Eva02Architecture,
  batch: ImageBatch,
  index: number,
): VisionStage {
  const { values, parameters, normed } = openEvaBlock(architecture, batch, index);
  const { query, key } = projectEvaHeads(architecture, values, normed, batch);
  const output = attentionWeights(query, key);
  return { key: keyOf('EVA attention weights', batch), output, parameters };
}

/** The last block of `encode_image`: only the class token asks, since only its result is used. → `[B, width]` */
export function evaClassTokenBlock(
  architecture: Eva02Architecture,
  batch: ImageBatch,
  index: number,
): VisionStage {
  const { values, parameters, x, normed } = openEvaBlock(architecture, batch, index);
  const part = (projected: Value): Value => partHeads(architecture, projected, batch.batch);
  // The class token's query is not turned; keys are, each by its own place, and have to be made.
  const query = part(affine(classTokens(normed, batch), values['attn.q_proj.weight'], values['attn.q_bias']));
  const turned = rotation(architecture, batch);
  const key = part(turned(matmul(normed, values['attn.k_proj.weight'], { transposeB: true })));
  const count = tokenCount(batch);
  const scores = reshape(attentionScores(query, key), [batch.batch, architecture.heads, count]);
  const tokens = reshape(normed, [batch.batch, count, architecture.width]);
  const joined = classTokenMix(scores, tokens, values['attn.v_proj.weight'], values['attn.v_bias']);
  const output = closeEvaBlock(values, classTokens(x, batch), joined);
  return { key: keyOf('EVA class-token block', batch), output, parameters };
}

/** The last block of `encode_dense`: each token's value through inner norm and projection, with residual and MLP. */
export function evaValueBlock(
  architecture: Eva02Architecture,
  batch: ImageBatch,
  index: number,
): VisionStage {
  const { values, parameters } = evaBlockParameters(architecture, index);
  const x = Value.input('input', [batch.batch * tokenCount(batch), architecture.width]);
  const patches = patchTokens(x, batch);
  const normed = norm(patches, values['norm1.weight'], values['norm1.bias']);
  const value = affine(normed, values['attn.v_proj.weight'], values['attn.v_bias']);
  const output = closeEvaBlock(values, patches, value, batch);
  const frozen = (): VisionStage => evaValueBlock(architecture, frozenImage(batch), index);
  return { key: keyOf('EVA value block', batch), output, parameters, frozen };
}
