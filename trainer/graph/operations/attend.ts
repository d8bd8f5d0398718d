import { ShapeError, sameShape } from '../shape.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { multiply, negate } from './arithmetic.ts';
import { concat } from './layout.ts';
import { matmul } from './product.ts';
import { broadcastTo, sum } from './reduction.ts';

/**
 * Softmax whose upstream gradient comes from `mixOperation` alone. The gradient of softmax takes from each row of the
 * upstream u its mean under the weights p, p ∘ (u − Σ p·u); `mixOperation` has already done so.
 */
const weightsOperation: Operation<null> = {
  name: 'attention weights',
  backward: 'keep',
  type([scores]) {
    requireFloat('attend', [scores!]);
    return { shape: scores!.shape, dtype: 'float32' };
  },
  gradient: (value, upstream) => [multiply(value, upstream)],
  onnx: (emit, _value, _attributes, inputs, output) => {
    emit.node('Softmax', inputs, { axis: { int: -1 } }, output);
  },
};

const mixOperation: Operation<null> = {
  name: 'attend',
  backward: 'keep',
  type([weights, values]) {
    requireFloat('attend', [weights!, values!]);
    const [left, right] = [weights!.shape, values!.shape];
    if (left.length < 2 || !sameShape(left.slice(0, -2), right.slice(0, -2)) || left.at(-1) !== right.at(-2))
      throw new ShapeError('attend', 'scores and values do not fit', left, right);
    return { shape: [...left.slice(0, -1), right.at(-1)!], dtype: 'float32' };
  },
  /**
   * The mean of u = ∂O·Vᵀ under the weights is ∂O·O, a number a row: one more column of ∂O against −1 in V takes it off
   * in the same product, where softmax by itself would pass over the attention matrix three times more.
   */
  gradient(value, upstream) {
    const [weights, values] = value.inputs as [Value, Value];
    const mean = sum(multiply(upstream, value), [-1]);
    const column = broadcastTo(negate(Value.constant(1)), [...values.shape.slice(0, -1), 1]);
    const centred = matmul(concat([upstream, mean], -1), concat([values, column], -1), { transposeB: true });
    return [centred, matmul(weights, upstream, { transposeA: true })];
  },
  onnx: (emit, _value, _attributes, inputs, output) => {
    emit.node('MatMul', inputs, {}, output);
  },
};

/**
 * softmax(scores) · values over the last two axes: `[…, queries, keys]`, `[…, keys, d]` → `[…, queries, d]`. One
 * operation for its gradient's sake.
 */
export function attend(scores: Value, values: Value): Value {
  const weights = Value.apply(weightsOperation, [scores], null);
  return Value.apply(mixOperation, [weights, values], null);
}
