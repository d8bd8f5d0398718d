import { broadcastShapes, normaliseAxis, type Shape, ShapeError, sameShape } from '../shape.ts';
import { broadcast, sums } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { multiply } from './arithmetic.ts';
import { reshape } from './layout.ts';

const sumOperation: Operation<{ axes: readonly number[] }> = {
  name: 'sum',
  backward: 'recompute',
  type(inputs, { axes }) {
    const dtype = requireFloat('sum', inputs);
    const { shape } = inputs[0]!;
    const reduced = axes.map(axis => normaliseAxis('sum', axis, shape));
    if (new Set(reduced).size !== axes.length)
      throw new ShapeError('sum', 'an axis is named twice', shape, axes);
    return { shape: shape.map((length, axis) => (reduced.includes(axis) ? 1 : length)), dtype };
  },
  gradient: (value, upstream) => [broadcastTo(upstream, value.inputs[0]!.shape)],
  onnx: (emit, value, { axes }, inputs, output) => {
    const { shape, dtype } = value.inputs[0]!;
    if (emit.forProcessor && shape.length === 2 && axes.length === 1 && axes[0] === 0) {
      // Three times as fast as ONNX Runtime's sum over the rows of a matrix, which the gradient of a bias is.
      emit.node('Gemm', [emit.filled(1, [1, shape[0]!], dtype), inputs[0]!], {}, output);
      return;
    }
    emit.node('ReduceSum', [inputs[0]!, emit.integers(axes)], { keepdims: { int: 1 } }, output);
  },
  tfjs: (emit, _value, { axes }, [x]) =>
    sums(
      emit,
      x!,
      axes.map(axis => normaliseAxis('sum', axis, x!.shape)),
    ),
};

/** Sum over `axes`, which stay with length 1. */
export function sum(x: Value, axes: readonly number[]): Value {
  const result = Value.apply(sumOperation, [x], { axes });
  // ONNX takes an empty list of axes for all of them.
  return axes.length === 0 ? x : result;
}

/** Sum of all elements, a scalar. */
export const total = (x: Value): Value =>
  reshape(
    sum(
      x,
      x.shape.map((_, axis) => axis),
    ),
    [],
  );

/** Mean over `axes`, which stay with length 1. */
export function mean(x: Value, axes: readonly number[]): Value {
  const count = axes.reduce((product, axis) => product * x.shape[normaliseAxis('mean', axis, x.shape)]!, 1);
  return multiply(sum(x, axes), Value.constant(1 / count));
}

const broadcastOperation: Operation<{ shape: Shape }> = {
  name: 'broadcastTo',
  backward: 'recompute',
  type(inputs, { shape }) {
    const from = inputs[0]!.shape;
    if (!sameShape(broadcastShapes('broadcastTo', from, shape), shape))
      throw new ShapeError('broadcastTo', 'shapes do not broadcast', from, shape);
    return { shape, dtype: inputs[0]!.dtype };
  },
  gradient: (value, upstream) => [sumTo(upstream, value.inputs[0]!.shape)],
  onnx: (emit, _value, { shape }, inputs, output) => {
    emit.node('Expand', [inputs[0]!, emit.integers(shape)], {}, output);
  },
  tfjs: (emit, _value, { shape }, [x]) => broadcast(emit, x!, shape),
};

/** Repeats `x` along the axes where it has length 1 until it has `shape`. */
export const broadcastTo = (x: Value, shape: Shape): Value =>
  sameShape(x.shape, shape) ? x : Value.apply(broadcastOperation, [x], { shape });

/** Undoes a broadcast: sums over the axes that were repeated, so that the result has `shape`. */
export function sumTo(x: Value, shape: Shape): Value {
  const broadcast = broadcastTo(x, broadcastShapes('sumTo', x.shape, shape));
  const missing = broadcast.shape.length - shape.length;
  const axes = broadcast.shape
    .map((_, axis) => axis)
    .filter(axis => axis < missing || (shape[axis - missing] === 1 && broadcast.shape[axis] !== 1));
  return axes.length === 0 ? broadcast : reshape(sum(broadcast, axes), shape);
}
