import { silu } from '../graph/operations/activation.ts';
import { add, multiply } from '../graph/operations/arithmetic.ts';
import { reshape } from '../graph/operations/layout.ts';
import { layerNorm } from '../graph/operations/normalisation.ts';
import { affine, matmul } from '../graph/operations/product.ts';
import { byRows } from '../graph/pieces.ts';
import { Value } from '../graph/value.ts';
import type { Eva02Architecture } from './architecture.ts';
import {
  asking,
  attention,
  attentionAtOnce,
  attentionScores,
  attentionWeights,
  isOneOperation,
  joinHeads,
  type Projections,
  partHeads,
} from './attention.ts';
import { classTokenMix } from './classTokenAttention.ts';
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

/** `[B · tokens, width]` → `[B, tokens, width]` */
const splitImages = (x: Value, { batch }: ImageBatch): Value =>
  reshape(x, [batch, x.shape[0]! / batch, x.shape[1]!]);

/**
 * Query, key and value of normed tokens, each `[B, tokens, width]`; queries and keys are turned by their positions. The key
 * has no bias.
 */
function projectEva(
  architecture: Eva02Architecture,
  values: EvaBlockValues,
  normed: Value,
  batch: ImageBatch,
): Projections {
  const byImage = (x: Value): Value => splitImages(x, batch);
  const turned = rotation(architecture, batch);
  return {
    query: turned(byImage(affine(normed, values['attn.q_proj.weight'], values['attn.q_bias']))),
    key: turned(byImage(matmul(normed, values['attn.k_proj.weight'], { transposeB: true }))),
    value: byImage(affine(normed, values['attn.v_proj.weight'], values['attn.v_bias'])),
  };
}

/**
 * What normed tokens gather from one another, `[B · tokens, width]`.
 *
 * @param projection queries and keys are both this one of the three, instead of their own.
 */
function attendedTokens(
  architecture: Eva02Architecture,
  values: EvaBlockValues,
  normed: Value,
  batch: ImageBatch,
  projection?: keyof Projections,
): Value {
  const projected = projectEva(architecture, values, normed, batch);
  const [query, key] = asking(projected, projection);
  if (isOneOperation(batch, architecture.heads))
    return attentionAtOnce(query, key, projected.value, architecture.heads, batch);
  const part = (x: Value): Value => partHeads(x, batch.batch, architecture.heads);
  return joinHeads(attention(part(query), part(key), part(projected.value)));
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
  const joined = attendedTokens(architecture, values, normed, batch);
  const output = closeEvaBlock(values, x, joined, batch);
  const frozen = (): VisionStage => evaAttentionBlock(architecture, frozenImage(batch), index);
  return { key: keyOf('EVA block', batch), output, parameters, frozen };
}

/** A block whose tokens attend by likeness of one projection with itself; the rest of the block stays. */
export function evaSelfLikenessBlock(
  architecture: Eva02Architecture,
  batch: ImageBatch,
  index: number,
  projection: keyof Projections,
): VisionStage {
  const { values, parameters, x, normed } = openEvaBlock(architecture, batch, index);
  const joined = attendedTokens(architecture, values, normed, batch, projection);
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
  const { query, key } = projectEva(architecture, values, normed, batch);
  const part = (x: Value): Value => partHeads(x, batch.batch, architecture.heads);
  const output = attentionWeights(part(query), part(key));
  return { key: keyOf('EVA attention weights', batch), output, parameters };
}

/** The last block of `encode_image`: only the class token asks, since only its result is used. → `[B, width]` */
export function evaClassTokenBlock(
  architecture: Eva02Architecture,
  batch: ImageBatch,
  index: number,
): VisionStage {
  const { values, parameters, x, normed } = openEvaBlock(architecture, batch, index);
  // The class token's query is not turned; keys are, each by its own place, and have to be made.
  const asked = affine(classTokens(normed, batch), values['attn.q_proj.weight'], values['attn.q_bias']);
  const turned = rotation(architecture, batch);
  const keys = matmul(normed, values['attn.k_proj.weight'], { transposeB: true });
  const query = partHeads(asked, batch.batch, architecture.heads);
  const key = partHeads(turned(splitImages(keys, batch)), batch.batch, architecture.heads);
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
