import { ShapeError, sameShape } from '../shape.ts';
import type { TfjsEmitter, TfjsTensor } from '../tfjsEmitter.ts';
import { sums } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { add, divide, multiply, squareRoot, subtract } from './arithmetic.ts';
import { mean, sum, sumTo } from './reduction.ts';

const softmaxOperation: Operation<null> = {
  name: 'softmax',
  backward: 'keep',
  type([x]) {
    const dtype = requireFloat('softmax', [x!]);
    if (x!.shape.length === 0) throw new ShapeError('softmax', 'a scalar has no last axis', x!.shape);
    return { shape: x!.shape, dtype };
  },
  gradient(value, upstream) {
    const weighted = multiply(value, upstream);
    return [subtract(weighted, multiply(value, sum(weighted, [-1])))];
  },
  onnx: (emit, _value, _attributes, inputs, output) => {
    emit.node('Softmax', inputs, { axis: { int: -1 } }, output);
  },
  tfjs: (emit, _value, _attributes, [logits]) => emit.kernel('Softmax', { logits: logits! }, { dim: -1 }),
};

/** Softmax over the last axis. */
export const softmax = (x: Value): Value => Value.apply(softmaxOperation, [x], null);

const layerNormOperation: Operation<{ epsilon: number }> = {
  name: 'layerNorm',
  backward: 'recompute',
  type([x, scale, shift]) {
    const dtype = requireFloat('layerNorm', [x!, scale!, shift!]);
    const width = x!.shape.at(-1);
    for (const parameter of [scale!, shift!])
      if (width === undefined || !sameShape(parameter.shape, [width]))
        throw new ShapeError(
          'layerNorm',
          'the parameter does not fit the last axis',
          x!.shape,
          parameter.shape,
        );
    return { shape: x!.shape, dtype };
  },
  gradient(value, upstream, { epsilon }) {
    const [x, scale, shift] = value.inputs as [Value, Value, Value];
    const centred = subtract(x, mean(x, [-1]));
    const variance = mean(multiply(centred, centred), [-1]);
    const inverseDeviation = divide(Value.constant(1), squareRoot(add(variance, Value.constant(epsilon))));
    const standardised = multiply(centred, inverseDeviation);
    const scaled = multiply(upstream, scale);
    const parallel = multiply(standardised, mean(multiply(scaled, standardised), [-1]));
    const tangential = subtract(subtract(scaled, mean(scaled, [-1])), parallel);
    return [
      multiply(tangential, inverseDeviation),
      sumTo(multiply(upstream, standardised), scale.shape),
      sumTo(upstream, shift.shape),
    ];
  },
  onnx: (emit, _value, { epsilon }, inputs, output) => {
    emit.node('LayerNormalization', inputs, { axis: { int: -1 }, epsilon: { float: epsilon } }, output);
  },
  tfjs: (emit, _value, { epsilon }, [x, scale, shift]) => {
    const centred = emit.kernel('Sub', { a: x!, b: lastAxisMean(emit, x!) });
    const variance = lastAxisMean(emit, emit.kernel('Multiply', { a: centred, b: centred }));
    // Not Rsqrt: TensorFlow approximates it on processors, and after five steps weights differ by twice as much.
    const deviation = emit.kernel('Sqrt', {
      x: emit.kernel('Add', { a: variance, b: emit.scalar(epsilon) }),
    });
    const standardised = emit.kernel('RealDiv', { a: centred, b: deviation });
    return emit.kernel('Add', { a: emit.kernel('Multiply', { a: standardised, b: scale! }), b: shift! });
  },
};

const lastAxisMean = (emit: TfjsEmitter, x: TfjsTensor): TfjsTensor =>
  emit.kernel('Multiply', {
    a: sums(emit, x, [x.shape.length - 1]),
    b: emit.scalar(1 / x.shape.at(-1)!),
  });

/** Layer normalisation over the last axis, scaled and shifted by `[width]` parameters. */
export const layerNorm = (x: Value, scale: Value, shift: Value, epsilon: number): Value =>
  Value.apply(layerNormOperation, [x, scale, shift], { epsilon });
