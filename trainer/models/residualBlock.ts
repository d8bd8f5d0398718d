import { gelu, quickGelu } from '../graph/operations/activation.ts';
import { add } from '../graph/operations/arithmetic.ts';
import { pad, reshape, slice, transpose } from '../graph/operations/layout.ts';
import { layerNorm } from '../graph/operations/normalisation.ts';
import { affine } from '../graph/operations/product.ts';
import { byRows } from '../graph/pieces.ts';
import { paddingOfRows } from '../graph/rowPadding.ts';
import { Value } from '../graph/value.ts';
import { blockPrefix, type ClipVitArchitecture } from './architecture.ts';
import {
  asking,
  attention,
  attentionAtOnce,
  attentionWeights,
  isOneOperation,
  joinHeads,
  type Projections,
} from './attention.ts';
import { classTokenMix, classTokenScores } from './classTokenAttention.ts';
import {
  classTokens,
  frozenImage,
  type ImageBatch,
  keyOf,
  layerNormEpsilon,
  parameterInputs,
  patchTokens,
  tokenCount,
  type VisionStage,
} from './visionStage.ts';

/** What a residual block has to know; CLIP's image and text transformers share it. */
export type BlockSizes = Pick<ClipVitArchitecture, 'width' | 'heads' | 'mlpWidth' | 'activation'>;

/** Parameters of the residual block whose names begin with `prefix`. */
export function blockParameters({ width, mlpWidth }: BlockSizes, prefix: string) {
  return parameterInputs(prefix, {
    'ln_1.weight': [width],
    'ln_1.bias': [width],
    'attn.in_proj_weight': [3 * width, width],
    'attn.in_proj_bias': [3 * width],
    'attn.out_proj.weight': [width, width],
    'attn.out_proj.bias': [width],
    'ln_2.weight': [width],
    'ln_2.bias': [width],
    'mlp.c_fc.weight': [mlpWidth, width],
    'mlp.c_fc.bias': [mlpWidth],
    'mlp.c_proj.weight': [width, mlpWidth],
    'mlp.c_proj.bias': [width],
  });
}

export type BlockValues = ReturnType<typeof blockParameters>['values'];

/** Projects normed tokens `[B · tokens, width]` and parts them into heads, each `[B, heads, tokens, d]`. */
export function projectHeads(
  { width, heads }: BlockSizes,
  values: BlockValues,
  normed: Value,
  batch: number,
  tokens: number,
): Projections {
  const packed = affine(normed, values['attn.in_proj_weight'], values['attn.in_proj_bias']);
  const split = reshape(packed, [batch, tokens, 3, heads, width / heads]);
  const byHead = transpose(split, [2, 0, 3, 1, 4]);
  const [query, key, value] = [0, 1, 2].map(part =>
    reshape(slice(byHead, 0, part, part + 1), [batch, heads, tokens, width / heads]),
  ) as [Value, Value, Value];
  return { query, key, value };
}

/** Input, parameters and first norm that every kind of block begins with. */
export function openBlock(architecture: ClipVitArchitecture, batch: ImageBatch, index: number) {
  const { values, parameters } = blockParameters(architecture, blockPrefix(architecture, index));
  const x = Value.input('input', [batch.batch * tokenCount(batch), architecture.width]);
  const normed = layerNorm(x, values['ln_1.weight'], values['ln_1.bias'], layerNormEpsilon);
  return { values, parameters, x, normed };
}

/** Pre-norm residual block with attention among all tokens of an image. */
export function attentionBlock(
  architecture: ClipVitArchitecture,
  batch: ImageBatch,
  index: number,
): VisionStage {
  const { values, parameters, x, normed } = openBlock(architecture, batch, index);
  const joined = attendedTokens(architecture, values, normed, batch);
  const output = withMlp(architecture, values, add(x, projectOut(values, joined)), batch);
  const frozen = (): VisionStage => attentionBlock(architecture, frozenImage(batch), index);
  return { key: keyOf('block', batch), output, parameters, frozen };
}

/**
 * What normed tokens gather from one another, `[B · tokens, width]`.
 *
 * @param projection queries and keys are both this one of the three, instead of their own.
 */
export function attendedTokens(
  sizes: BlockSizes,
  values: BlockValues,
  normed: Value,
  batch: ImageBatch,
  projection?: keyof Projections,
): Value {
  if (isOneOperation(batch, sizes.heads)) {
    const parts = projectTokens(sizes, values, normed, batch);
    const [query, key] = asking(parts, projection);
    return attentionAtOnce(query, key, parts.value, sizes.heads, batch);
  }
  const heads = projectHeads(sizes, values, normed, batch.batch, tokenCount(batch));
  const [query, key] = asking(heads, projection);
  return joinHeads(attention(query, key, heads.value));
}

/**
 * Query, key and value, each `[B, tokens, width]`. Weights that are constants are parted once, and what they make needs
 * no parting then.
 */
function projectTokens(
  { width }: BlockSizes,
  values: BlockValues,
  normed: Value,
  batch: ImageBatch,
): Projections {
  const [weight, bias] = [values['attn.in_proj_weight'], values['attn.in_proj_bias']];
  const part = (x: Value, axis: number, at: number): Value => slice(x, axis, at * width, (at + 1) * width);
  const project = (rows: Value, shift: Value): Value =>
    reshape(affine(normed, rows, shift), [batch.batch, tokenCount(batch), shift.size]);
  const packed = batch.frozen ? null : project(weight, bias);
  const [query, key, value] = [0, 1, 2].map(at =>
    packed ? part(packed, 2, at) : project(part(weight, 0, at), part(bias, 0, at)),
  ) as [Value, Value, Value];
  return { query, key, value };
}

/**
 * A block whose tokens attend by likeness of one projection with itself, as training-free read-outs do (q–q, k–k, v–v
 * attention); residual and MLP stay.
 */
export function selfLikenessBlock(
  architecture: ClipVitArchitecture,
  batch: ImageBatch,
  index: number,
  projection: keyof Projections,
): VisionStage {
  const { values, parameters, x, normed } = openBlock(architecture, batch, index);
  const joined = attendedTokens(architecture, values, normed, batch, projection);
  const output = withMlp(architecture, values, add(x, projectOut(values, joined)), batch);
  return { key: keyOf(`${projection} likeness block`, batch), output, parameters };
}

/** The attention weights of a block, `[B, heads, tokens, tokens]`: for looking at, not for going on. */
export function attentionWeightsStage(
  architecture: ClipVitArchitecture,
  batch: ImageBatch,
  index: number,
): VisionStage {
  const { values, parameters, normed } = openBlock(architecture, batch, index);
  const { query, key } = projectHeads(architecture, values, normed, batch.batch, tokenCount(batch));
  return { key: keyOf('attention weights', batch), output: attentionWeights(query, key), parameters };
}

/** The last block of `encode_image`: only the class token asks, since only its result is used. → `[B, width]` */
export function classTokenBlock(
  architecture: ClipVitArchitecture,
  batch: ImageBatch,
  index: number,
): VisionStage {
  const { width, heads } = architecture;
  const { values, parameters, x, normed } = openBlock(architecture, batch, index);
  const part = (packed: Value, at: number): Value => slice(packed, 0, at * width, (at + 1) * width);
  const [weight, bias] = [values['attn.in_proj_weight'], values['attn.in_proj_bias']];
  const tokens = reshape(normed, [batch.batch, tokenCount(batch), width]);
  const query = affine(classTokens(normed, batch), part(weight, 0), part(bias, 0));
  const scores = classTokenScores(query, tokens, part(weight, 1), heads);
  const attended = classTokenMix(scores, tokens, part(weight, 2), part(bias, 2));
  const output = withMlp(architecture, values, add(classTokens(x, batch), projectOut(values, attended)));
  return { key: keyOf('class-token block', batch), output, parameters };
}

/** The last block of `encode_dense`: each token's value, projected out, with residual and MLP. */
export function valueBlock(architecture: ClipVitArchitecture, batch: ImageBatch, index: number): VisionStage {
  const { width } = architecture;
  const { values, parameters } = blockParameters(architecture, blockPrefix(architecture, index));
  const x = Value.input('input', [batch.batch * tokenCount(batch), width]);
  const patches = patchTokens(x, batch);
  const normed = layerNorm(patches, values['ln_1.weight'], values['ln_1.bias'], layerNormEpsilon);
  const value = affine(
    normed,
    slice(values['attn.in_proj_weight'], 0, 2 * width, 3 * width),
    slice(values['attn.in_proj_bias'], 0, 2 * width, 3 * width),
  );
  const output = withMlp(architecture, values, add(patches, projectOut(values, value)), batch);
  const frozen = (): VisionStage => valueBlock(architecture, frozenImage(batch), index);
  return { key: keyOf('value block', batch), output, parameters, frozen };
}

export const projectOut = (values: BlockValues, joined: Value): Value =>
  affine(joined, values['attn.out_proj.weight'], values['attn.out_proj.bias']);

/** x + MLP(ln_2(x)); a few rows at a time where the images say so. */
export function withMlp(
  sizes: BlockSizes,
  values: BlockValues,
  x: Value,
  { hiddenPieceBytes, frozen = false }: Pick<ImageBatch, 'hiddenPieceBytes' | 'frozen'> = {},
): Value {
  const activation = sizes.activation === 'quickGelu' ? quickGelu : gelu;
  const normed = layerNorm(x, values['ln_2.weight'], values['ln_2.bias'], layerNormEpsilon);
  // Hidden numbers that come with their padding need not be copied to get it: of nothing, the activations make nothing.
  const padding = frozen ? paddingOfRows(sizes.mlpWidth) : 0;
  const filled = (parameter: Value, axis: number): Value =>
    padding > 0 ? pad(parameter, axis, 0, padding) : parameter;
  const mlp = byRows(normed, 4 * sizes.mlpWidth, hiddenPieceBytes, rows => {
    const [weight, bias] = [filled(values['mlp.c_fc.weight'], 0), filled(values['mlp.c_fc.bias'], 0)];
    const hidden = activation(affine(rows, weight, bias));
    return affine(hidden, filled(values['mlp.c_proj.weight'], 1), values['mlp.c_proj.bias']);
  });
  return add(x, mlp);
}
