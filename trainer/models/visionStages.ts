import { gelu, l2Normalise, quickGelu } from '../graph/functions.ts';
import { add, multiply } from '../graph/operations/arithmetic.ts';
import { concat, reshape, slice, transpose } from '../graph/operations/layout.ts';
import { layerNorm, softmax } from '../graph/operations/normalisation.ts';
import { affine, matmul } from '../graph/operations/product.ts';
import { broadcastTo } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';
import { gridSide, type VisionArchitecture } from './architecture.ts';

/**
 * The image tower of OpenAI's and OpenCLIP's CLIP as a chain of stages. A stage is a graph from `input` to `output`
 * whose other inputs are its parameters; stages with the same `key` are the same graph with other weights, so that
 * all blocks of a tower share one program. Tokens travel as `[batch · tokens, width]`.
 */
export interface VisionStage {
  key: string;
  output: Value;
  /** Checkpoint name of each parameter by the graph's input name. */
  parameters: Readonly<Record<string, string>>;
}

/** Images of one program: how many, and their patch grid. */
export interface ImageBatch {
  batch: number;
  /** Patches down and across: floor(pixels / patch size). */
  rows: number;
  columns: number;
}

/** Name of the stem's input that maps the pretraining grid's positions to this grid, `[rows · columns, own grid]`. */
export const interpolationInput = 'interpolation';

const layerNormEpsilon = 1e-5;

/** Whether the positions have to be interpolated for this grid. */
export function needsInterpolation(architecture: VisionArchitecture, { rows, columns }: ImageBatch): boolean {
  const own = gridSide(architecture);
  return own !== rows || own !== columns;
}

/** `encode_image`: pixels `[B, 3, H, W]` → embeddings `[B, D]`, not normalised. The last block sees queries of the class token alone. */
export function imageStages(architecture: VisionArchitecture, batch: ImageBatch): VisionStage[] {
  const last = architecture.layers - 1;
  return [
    ...trunkStages(architecture, batch),
    classTokenBlock(architecture, batch, last),
    imageHead(architecture, batch),
  ];
}

/**
 * `encode_dense`: pixels `[B, 3, H, W]` → dense features `[B · rows · columns, D]` of unit norm. The last block has no
 * attention: every token keeps its own value projection (paper section 3.1, after MaskCLIP), with residual and MLP.
 */
export function denseStages(architecture: VisionArchitecture, batch: ImageBatch): VisionStage[] {
  const last = architecture.layers - 1;
  return [
    ...trunkStages(architecture, batch),
    valueBlock(architecture, batch, last),
    denseHead(architecture, batch),
  ];
}

/** Stem and all blocks but the last. */
export function trunkStages(architecture: VisionArchitecture, batch: ImageBatch): VisionStage[] {
  const blocks = Array.from({ length: architecture.layers - 1 }, (_, index) =>
    attentionBlock(architecture, batch, index),
  );
  return [stem(architecture, batch), ...blocks];
}

const tokenCount = ({ rows, columns }: ImageBatch): number => 1 + rows * columns;

const keyOf = (stage: string, { batch, rows, columns }: ImageBatch): string =>
  `${stage} ${batch}x${rows}x${columns}`;

function parameterInputs<Name extends string>(
  prefix: string,
  shapes: Readonly<Record<Name, readonly number[]>>,
): { values: Record<Name, Value>; parameters: Record<Name, string> } {
  const names = Object.keys(shapes) as Name[];
  const values = Object.fromEntries(names.map(name => [name, Value.input(name, shapes[name])]));
  const parameters = Object.fromEntries(names.map(name => [name, prefix + name]));
  return { values: values as Record<Name, Value>, parameters: parameters as Record<Name, string> };
}

/** Patch embedding, class token, interpolated positions, `ln_pre`. */
function stem(architecture: VisionArchitecture, batch: ImageBatch): VisionStage {
  const { width, patchSize } = architecture;
  const { values, parameters } = parameterInputs('visual.', {
    'conv1.weight': [width, 3, patchSize, patchSize],
    class_embedding: [width],
    positional_embedding: [1 + gridSide(architecture) ** 2, width],
    'ln_pre.weight': [width],
    'ln_pre.bias': [width],
  });
  const patches = unfold(batch, patchSize);
  const kernel = reshape(values['conv1.weight'], [width, 3 * patchSize * patchSize]);
  const count = batch.rows * batch.columns;
  const embedded = reshape(matmul(patches, kernel, { transposeB: true }), [batch.batch, count, width]);
  const classToken = broadcastTo(reshape(values.class_embedding, [1, 1, width]), [batch.batch, 1, width]);
  const tokens = concat([classToken, embedded], 1);
  const positions = positionsFor(architecture, batch, values.positional_embedding);
  const placed = reshape(add(tokens, positions), [batch.batch * tokenCount(batch), width]);
  const output = layerNorm(placed, values['ln_pre.weight'], values['ln_pre.bias'], layerNormEpsilon);
  return { key: keyOf('stem', batch), output, parameters };
}

/** Pixels → one row of channel-major pixels a patch: the convolution with stride = kernel as a product. */
function unfold({ batch, rows, columns }: ImageBatch, patch: number): Value {
  const pixels = Value.input('input', [batch, 3, rows * patch, columns * patch]);
  const split = reshape(pixels, [batch, 3, rows, patch, columns, patch]);
  return reshape(transpose(split, [0, 2, 4, 1, 3, 5]), [batch * rows * columns, 3 * patch * patch]);
}

function positionsFor(architecture: VisionArchitecture, batch: ImageBatch, embedding: Value): Value {
  if (!needsInterpolation(architecture, batch)) return embedding;
  const count = batch.rows * batch.columns;
  const own = embedding.shape[0]! - 1;
  const interpolation = Value.input(interpolationInput, [count, own]);
  return concat([slice(embedding, 0, 0, 1), matmul(interpolation, slice(embedding, 0, 1, own + 1))], 0);
}

function blockParameters(architecture: VisionArchitecture, index: number) {
  const { width, mlpWidth } = architecture;
  return parameterInputs(`visual.transformer.resblocks.${index}.`, {
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

type BlockValues = ReturnType<typeof blockParameters>['values'];

/** Pre-norm residual block with attention among all tokens of an image. */
function attentionBlock(architecture: VisionArchitecture, batch: ImageBatch, index: number): VisionStage {
  const { width, heads } = architecture;
  const { values, parameters } = blockParameters(architecture, index);
  const tokens = tokenCount(batch);
  const x = Value.input('input', [batch.batch * tokens, width]);
  const normed = layerNorm(x, values['ln_1.weight'], values['ln_1.bias'], layerNormEpsilon);
  const packed = affine(normed, values['attn.in_proj_weight'], values['attn.in_proj_bias']);
  const split = reshape(packed, [batch.batch, tokens, 3, heads, width / heads]);
  const byHead = transpose(split, [2, 0, 3, 1, 4]);
  const [query, key, value] = [0, 1, 2].map(part =>
    reshape(slice(byHead, 0, part, part + 1), [batch.batch, heads, tokens, width / heads]),
  ) as [Value, Value, Value];
  const attended = attention(query, key, value);
  const joined = reshape(transpose(attended, [0, 2, 1, 3]), [batch.batch * tokens, width]);
  const output = withMlp(architecture, values, add(x, projectOut(values, joined)));
  return { key: keyOf('block', batch), output, parameters };
}

/** softmax(q kᵀ / √d) v, all `[B, heads, tokens, d]`. */
function attention(query: Value, key: Value, value: Value): Value {
  const scaled = multiply(query, Value.constant(1 / Math.sqrt(query.shape.at(-1)!)));
  return matmul(softmax(matmul(scaled, key, { transposeB: true })), value);
}

/** The last block of `encode_image`: only the class token asks, since only its result is used. → `[B, width]` */
function classTokenBlock(architecture: VisionArchitecture, batch: ImageBatch, index: number): VisionStage {
  const { width, heads } = architecture;
  const { values, parameters } = blockParameters(architecture, index);
  const tokens = tokenCount(batch);
  const x = Value.input('input', [batch.batch * tokens, width]);
  const normed = layerNorm(x, values['ln_1.weight'], values['ln_1.bias'], layerNormEpsilon);
  const [weight, bias] = [values['attn.in_proj_weight'], values['attn.in_proj_bias']];
  const query = affine(classTokens(normed, batch), slice(weight, 0, 0, width), slice(bias, 0, 0, width));
  const keyValue = affine(normed, slice(weight, 0, width, 3 * width), slice(bias, 0, width, 3 * width));
  const byHead = transpose(
    reshape(keyValue, [batch.batch, tokens, 2, heads, width / heads]),
    [2, 0, 3, 1, 4],
  );
  const [key, value] = [0, 1].map(part =>
    reshape(slice(byHead, 0, part, part + 1), [batch.batch, heads, tokens, width / heads]),
  ) as [Value, Value];
  const attended = attention(reshape(query, [batch.batch, heads, 1, width / heads]), key, value);
  const joined = reshape(attended, [batch.batch, width]);
  const output = withMlp(architecture, values, add(classTokens(x, batch), projectOut(values, joined)));
  return { key: keyOf('class-token block', batch), output, parameters };
}

/** The last block of `encode_dense`: each token's value, projected out, with residual and MLP. */
function valueBlock(architecture: VisionArchitecture, batch: ImageBatch, index: number): VisionStage {
  const { width } = architecture;
  const { values, parameters } = blockParameters(architecture, index);
  const x = Value.input('input', [batch.batch * tokenCount(batch), width]);
  const patches = patchTokens(x, batch);
  const normed = layerNorm(patches, values['ln_1.weight'], values['ln_1.bias'], layerNormEpsilon);
  const value = affine(
    normed,
    slice(values['attn.in_proj_weight'], 0, 2 * width, 3 * width),
    slice(values['attn.in_proj_bias'], 0, 2 * width, 3 * width),
  );
  const output = withMlp(architecture, values, add(patches, projectOut(values, value)));
  return { key: keyOf('value block', batch), output, parameters };
}

const projectOut = (values: BlockValues, joined: Value): Value =>
  affine(joined, values['attn.out_proj.weight'], values['attn.out_proj.bias']);

/** x + MLP(ln_2(x)). */
function withMlp(architecture: VisionArchitecture, values: BlockValues, x: Value): Value {
  const activation = architecture.activation === 'quickGelu' ? quickGelu : gelu;
  const normed = layerNorm(x, values['ln_2.weight'], values['ln_2.bias'], layerNormEpsilon);
  const hidden = activation(affine(normed, values['mlp.c_fc.weight'], values['mlp.c_fc.bias']));
  return add(x, affine(hidden, values['mlp.c_proj.weight'], values['mlp.c_proj.bias']));
}

/** Token 0 of every image, `[B, width]`. */
function classTokens(x: Value, batch: ImageBatch): Value {
  const width = x.shape[1]!;
  const byImage = reshape(x, [batch.batch, tokenCount(batch), width]);
  return reshape(slice(byImage, 1, 0, 1), [batch.batch, width]);
}

/** Every token but the first of every image, `[B · rows · columns, width]`. */
function patchTokens(x: Value, batch: ImageBatch): Value {
  const width = x.shape[1]!;
  const byImage = reshape(x, [batch.batch, tokenCount(batch), width]);
  const count = batch.rows * batch.columns;
  return reshape(slice(byImage, 1, 1, count + 1), [batch.batch * count, width]);
}

/** `ln_post` and the projection to the embedding space. */
function project(architecture: VisionArchitecture, rows: number) {
  const { width, embeddingDimension } = architecture;
  const { values, parameters } = parameterInputs('visual.', {
    'ln_post.weight': [width],
    'ln_post.bias': [width],
    proj: [width, embeddingDimension],
  });
  const x = Value.input('input', [rows, width]);
  const normed = layerNorm(x, values['ln_post.weight'], values['ln_post.bias'], layerNormEpsilon);
  return { projected: matmul(normed, values.proj), parameters };
}

function imageHead(architecture: VisionArchitecture, batch: ImageBatch): VisionStage {
  const { projected, parameters } = project(architecture, batch.batch);
  return { key: keyOf('image head', batch), output: projected, parameters };
}

function denseHead(architecture: VisionArchitecture, batch: ImageBatch): VisionStage {
  const { projected, parameters } = project(architecture, batch.batch * batch.rows * batch.columns);
  return { key: keyOf('dense head', batch), output: l2Normalise(projected), parameters };
}
