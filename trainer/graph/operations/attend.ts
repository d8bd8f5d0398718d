import { likenessGradients, mixGradients } from '../attendGradients.ts';
import { ShapeError, sameShape } from '../shape.ts';
import { matrixProduct } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { multiply } from './arithmetic.ts';

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

/**
 * softmax(q kᵀ), with the same agreement about its upstream. One operation with its product, because of large images
 * it is cheaper to compute both again than to keep either.
 */
const likenessOperation: Operation<null> = {
  name: 'attention weights by likeness',
  backward: 'keepWhenAmple',
  type([query, key]) {
    const dtype = requireFloat('attend', [query!, key!]);
    const [left, right] = [query!.shape, key!.shape];
    const fit = sameShape(left.slice(0, -2), right.slice(0, -2)) && left.at(-1) === right.at(-1);
    if (left.length < 2 || !fit) throw new ShapeError('attend', 'queries and keys do not fit', left, right);
    return { shape: [...left.slice(0, -1), right.at(-2)!], dtype };
  },
  gradient: (value, upstream) => likenessGradients(value, value.inputs as [Value, Value], upstream),
  onnx: (emit, value, _attributes, [query, key], output) => {
    const rank = value.shape.length;
    const swapped = [...Array(rank - 2).keys(), rank - 1, rank - 2];
    // ONNX Runtime fuses this transposition into its batched product.
    const transposed = emit.node('Transpose', [key!], { perm: { ints: swapped } });
    emit.node('Softmax', [emit.node('MatMul', [query!, transposed])], { axis: { int: -1 } }, output);
  },
  tfjs: (emit, _value, _attributes, [query, key]) =>
    emit.kernel('Softmax', { logits: matrixProduct(emit, query!, key!, { transposeB: true }) }, { dim: -1 }),
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
  gradient: (value, upstream) => mixGradients(value.inputs as [Value, Value], value, upstream),
  onnx: (emit, _value, _attributes, inputs, output) => {
    emit.node('MatMul', inputs, {}, output);
  },
  tfjs: (emit, _value, _attributes, [weights, values]) => matrixProduct(emit, weights!, values!),
};

const mix = (weights: Value, values: Value): Value => Value.apply(mixOperation, [weights, values], null);

/** softmax(q kᵀ) · values over the last two axes: `[…, queries, d]`, `[…, keys, d]`, `[…, keys, e]` → `[…, queries, e]`. */
export const attend = (query: Value, key: Value, values: Value): Value =>
  mix(Value.apply(likenessOperation, [query, key], null), values);

/** softmax(scores) · values: `[…, queries, keys]`, `[…, keys, e]` → `[…, queries, e]`. */
export const attendByScores = (scores: Value, values: Value): Value =>
  mix(Value.apply(weightsOperation, [scores], null), values);
