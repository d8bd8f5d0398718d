import { formatShape, normaliseAxis, type Shape, ShapeError, sameShape, sizeOf } from '../shape.ts';
import { padded, reshaped, sliced, transposed } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { add } from './arithmetic.ts';

const reshapeOperation: Operation<{ shape: Shape }> = {
  name: 'reshape',
  backward: 'recompute',
  type(inputs, { shape }) {
    const from = inputs[0]!.shape;
    if (sizeOf(from) !== sizeOf(shape) || shape.some(length => length < 0))
      throw new ShapeError('reshape', 'the number of elements differs', from, shape);
    return { shape, dtype: inputs[0]!.dtype };
  },
  gradient: (value, upstream) => [reshape(upstream, value.inputs[0]!.shape)],
  onnx: (emit, _value, { shape }, inputs, output) => {
    // Unasked, ONNX reads a zero as "the length of the operand's axis".
    const attributes = shape.includes(0) ? { allowzero: { int: 1 } } : {};
    const target = emit.isOpen(inputs[0]!) ? [-1, ...shape.slice(1)] : shape;
    emit.node('Reshape', [inputs[0]!, emit.integers(target)], attributes, output);
  },
  tfjs: (emit, _value, { shape }, [x]) => reshaped(emit, x!, shape),
};

/** The same elements in row-major order under another shape. */
export const reshape = (x: Value, shape: Shape): Value =>
  sameShape(x.shape, shape) ? x : Value.apply(reshapeOperation, [x], { shape });

const transposeOperation: Operation<{ permutation: readonly number[] }> = {
  name: 'transpose',
  backward: 'recompute',
  type(inputs, { permutation }) {
    const { shape, dtype } = inputs[0]!;
    const sorted = [...permutation].sort((a, b) => a - b);
    if (
      !sameShape(
        sorted,
        shape.map((_, axis) => axis),
      )
    )
      throw new ShapeError('transpose', 'the permutation does not name every axis once', shape, permutation);
    return { shape: permutation.map(axis => shape[axis]!), dtype };
  },
  gradient(_value, upstream, { permutation }) {
    return [
      transpose(
        upstream,
        permutation.map((_, axis) => permutation.indexOf(axis)),
      ),
    ];
  },
  onnx: (emit, _value, { permutation }, inputs, output) => {
    emit.node('Transpose', inputs, { perm: { ints: permutation } }, output);
  },
  tfjs: (emit, _value, { permutation }, [x]) => transposed(emit, x!, permutation),
};

/** Axis `i` of the result is axis `permutation[i]` of `x`. */
export const transpose = (x: Value, permutation: readonly number[]): Value =>
  Value.apply(transposeOperation, [x], { permutation });

interface Range {
  axis: number;
  start: number;
  end: number;
}

const sliceOperation: Operation<Range> = {
  name: 'slice',
  backward: 'recompute',
  type(inputs, { axis, start, end }) {
    const { shape, dtype } = inputs[0]!;
    const whole = Number.isInteger(start) && Number.isInteger(end);
    if (!(whole && start >= 0 && start <= end && end <= shape[axis]!))
      throw new ShapeError('slice', `axis ${axis} has no range ${start} to ${end}`, shape, [start, end]);
    return { shape: shape.map((length, index) => (index === axis ? end - start : length)), dtype };
  },
  gradient(value, upstream, { axis, start, end }) {
    const { shape } = value.inputs[0]!;
    return [pad(upstream, axis, start, shape[axis]! - end)];
  },
  onnx: (emit, _value, { axis, start, end }, inputs, output) => {
    const bounds = [[start], [end], [axis]].map(values => emit.integers(values));
    emit.node('Slice', [inputs[0]!, ...bounds], {}, output);
  },
  tfjs: (emit, value, { axis, start }, [x]) =>
    sliced(
      emit,
      x!,
      value.shape.map((_, index) => (index === axis ? start : 0)),
      value.shape,
    ),
};

/** Elements `start` … `end - 1` of one axis; none where both are equal. */
export function slice(x: Value, axis: number, start: number, end: number): Value {
  const normalised = normaliseAxis('slice', axis, x.shape);
  return start === 0 && end === x.shape[normalised]
    ? x
    : Value.apply(sliceOperation, [x], { axis: normalised, start, end });
}

interface Padding {
  axis: number;
  before: number;
  after: number;
}

const padOperation: Operation<Padding> = {
  name: 'pad',
  backward: 'recompute',
  type(inputs, { axis, before, after }) {
    requireFloat('pad', inputs);
    const { shape, dtype } = inputs[0]!;
    if (![before, after].every(count => Number.isInteger(count) && count >= 0))
      throw new ShapeError('pad', 'padding is no count', shape, [before, after]);
    return {
      shape: shape.map((length, index) => (index === axis ? before + length + after : length)),
      dtype,
    };
  },
  gradient(value, upstream, { axis, before }) {
    return [slice(upstream, axis, before, before + value.inputs[0]!.shape[axis]!)];
  },
  onnx: (emit, value, { axis, before, after }, inputs, output) => {
    const at = (count: number): number[] => value.shape.map((_, index) => (index === axis ? count : 0));
    emit.node(
      'Pad',
      [inputs[0]!, emit.integers([...at(before), ...at(after)]), emit.scalar(0, value.dtype)],
      {},
      output,
    );
  },
  tfjs: (emit, value, { axis, before, after }, [x]) =>
    padded(
      emit,
      x!,
      value.shape.map((_, index) => (index === axis ? [before, after] : [0, 0])),
    ),
};

/** Zeros before and after along one axis. */
export const pad = (x: Value, axis: number, before: number, after: number): Value =>
  Value.apply(padOperation, [x], { axis: normaliseAxis('pad', axis, x.shape), before, after });

const concatOperation: Operation<{ axis: number }> = {
  name: 'concat',
  backward: 'recompute',
  type(inputs, { axis }) {
    const [first, ...rest] = inputs as [Value, ...Value[]];
    for (const { shape, dtype } of rest) {
      if (dtype !== first.dtype)
        throw new TypeError(`concat: ${first.dtype} and ${dtype} do not go together`);
      const fits =
        shape.length === first.shape.length &&
        shape.every((length, index) => index === axis || length === first.shape[index]);
      if (!fits) throw new ShapeError('concat', `shapes differ beside axis ${axis}`, first.shape, shape);
    }
    const length = inputs.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    return {
      shape: first.shape.map((own, index) => (index === axis ? length : own)),
      dtype: first.dtype,
    };
  },
  gradient(value, upstream, { axis }) {
    let start = 0;
    return value.inputs.map(({ shape }) => {
      const part = slice(upstream, axis, start, start + shape[axis]!);
      start += shape[axis]!;
      return part;
    });
  },
  onnx: (emit, _value, { axis }, inputs, output) => {
    emit.node('Concat', inputs, { axis: { int: axis } }, output);
  },
  // TensorFlow refuses to join a single tensor.
  tfjs: (emit, _value, { axis }, inputs) =>
    inputs.length === 1 ? inputs[0]! : emit.kernel('Concat', inputs, { axis }),
};

/** Values one after another along `axis`. */
export const concat = (values: readonly Value[], axis: number): Value =>
  Value.apply(concatOperation, values, { axis: normaliseAxis('concat', axis, values[0]?.shape ?? []) });

/**
 * Sum of gradient contributions to one value. Padded slices that tile an axis (the parts of a packed
 * query-key-value projection) become one concatenation instead of sums of mostly zeros.
 */
export function accumulate(contributions: readonly Value[]): Value {
  return tileAsConcat(contributions) ?? contributions.reduce((sum, term) => add(sum, term));
}

function tileAsConcat(contributions: readonly Value[]): Value | null {
  if (contributions.length < 2 || !contributions.every(value => value.operation?.name === 'pad')) return null;
  const parts = contributions.map(value => ({
    padding: value.attributes as Padding,
    part: value.inputs[0]!,
  }));
  parts.sort((a, b) => a.padding.before - b.padding.before);
  const { axis } = parts[0]!.padding;
  let end = 0;
  for (const { padding, part } of parts) {
    if (padding.axis !== axis || padding.before !== end) return null;
    end += part.shape[axis]!;
  }
  if (parts[parts.length - 1]!.padding.after !== 0) return null;
  const tiled = concat(
    parts.map(({ part }) => part),
    axis,
  );
  if (!sameShape(tiled.shape, contributions[0]!.shape))
    throw new Error(`tiled gradient has shape ${formatShape(tiled.shape)}`);
  return tiled;
}
