import { ShapeError, sameShape } from '../shape.ts';
import { matrixProduct } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { multiply } from './arithmetic.ts';
import { concat } from './layout.ts';
import { matmul } from './product.ts';
import { broadcastTo, sum } from './reduction.ts';

/**
 * softmax(scores) whose upstream gradient comes from `mixOperation` alone. The gradient of softmax takes from each row
 * of the upstream u its mean under the weights p, p ∘ (u − Σ p·u); `mixOperation` has already done so.
 */
const weightsOperation: Operation<null> = {
  name: 'attention weights',
  backward: 'keep',
  type([scores]) {
    const dtype = requireFloat('attend', [scores!]);
    return { shape: scores!.shape, dtype };
  },
  gradient: (value, upstream) => [multiply(value, upstream)],
  onnx: (emit, _value, _attributes, inputs, output) => {
    emit.node('Softmax', inputs, { axis: { int: -1 } }, output);
  },
  tfjs: (emit, _value, _attributes, [logits]) => emit.kernel('Softmax', { logits: logits! }, { dim: -1 }),
};

/** Whether attention weights are kept for the backward pass where memory is ample, or never. */
export type WeightsKept = Exclude<Operation<null>['backward'], 'keep'>;

/**
 * softmax(q kᵀ), with the same agreement about its upstream. One operation with its product, because of large images
 * it is cheaper to compute both again than to keep either.
 */
const likenessOperation = (backward: WeightsKept): Operation<null> => ({
  name: 'attention weights by likeness',
  backward,
  type([query, key]) {
    const dtype = requireFloat('attend', [query!, key!]);
    const [left, right] = [query!.shape, key!.shape];
    const fit = sameShape(left.slice(0, -2), right.slice(0, -2)) && left.at(-1) === right.at(-1);
    if (left.length < 2 || !fit) throw new ShapeError('attend', 'queries and keys do not fit', left, right);
    return { shape: [...left.slice(0, -1), right.at(-2)!], dtype };
  },
  gradient(value, upstream) {
    const [query, key] = value.inputs as [Value, Value];
    const scores = multiply(value, upstream);
    return [matmul(scores, key), matmul(scores, query, { transposeA: true })];
  },
  onnx: (emit, value, _attributes, [query, key], output) => {
    const rank = value.shape.length;
    const swapped = [...Array(rank - 2).keys(), rank - 1, rank - 2];
    // ONNX Runtime fuses this transposition into its batched product.
    const transposed = emit.node('Transpose', [key!], { perm: { ints: swapped } });
    emit.node('Softmax', [emit.node('MatMul', [query!, transposed])], { axis: { int: -1 } }, output);
  },
  tfjs: (emit, _value, _attributes, [query, key]) =>
    emit.kernel('Softmax', { logits: matrixProduct(emit, query!, key!, { transposeB: true }) }, { dim: -1 }),
});

const likeness: Readonly<Record<WeightsKept, Operation<null>>> = {
  keepWhenAmple: likenessOperation('keepWhenAmple'),
  recompute: likenessOperation('recompute'),
};

const mixOperation: Operation<null> = {
  name: 'attend',
  backward: 'keep',
  type([weights, values]) {
    const dtype = requireFloat('attend', [weights!, values!]);
    const [left, right] = [weights!.shape, values!.shape];
    if (left.length < 2 || !sameShape(left.slice(0, -2), right.slice(0, -2)) || left.at(-1) !== right.at(-2))
      throw new ShapeError('attend', 'scores and values do not fit', left, right);
    return { shape: [...left.slice(0, -1), right.at(-1)!], dtype };
  },
  /**
   * The mean of u = ∂O·Vᵀ under the weights is ∂O·O, a number a row: one more column of ∂O against −1 in V takes it off
   * in the same product, where softmax by itself would pass over the attention matrix three times more.
   */
  gradient(value, upstream) {
    const [weights, values] = value.inputs as [Value, Value];
    const mean = sum(multiply(upstream, value), [-1]);
    const column = broadcastTo(Value.constant(-1), [...values.shape.slice(0, -1), 1]);
    const centred = matmul(concat([upstream, mean], -1), concat([values, column], -1), { transposeB: true });
    return [centred, matmul(weights, upstream, { transposeA: true })];
  },
  onnx: (emit, _value, _attributes, inputs, output) => {
    emit.node('MatMul', inputs, {}, output);
  },
  tfjs: (emit, _value, _attributes, [weights, values]) => matrixProduct(emit, weights!, values!),
};

const mix = (weights: Value, values: Value): Value => Value.apply(mixOperation, [weights, values], null);

/** softmax(q kᵀ) · values over the last two axes: `[…, queries, d]`, `[…, keys, d]`, `[…, keys, e]` → `[…, queries, e]`. */
export const attend = (
  query: Value,
  key: Value,
  values: Value,
  weights: WeightsKept = 'keepWhenAmple',
): Value => mix(Value.apply(likeness[weights], [query, key], null), values);

/** softmax(scores) · values: `[…, queries, keys]`, `[…, keys, e]` → `[…, queries, e]`. */
export const attendByScores = (scores: Value, values: Value): Value =>
  mix(Value.apply(weightsOperation, [scores], null), values);
