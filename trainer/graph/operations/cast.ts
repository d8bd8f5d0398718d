import { onnxTypes } from '../onnxTypes.ts';
import { type FloatType, type Operation, requireFloat, Value } from '../value.ts';

const castOperation: Operation<{ to: FloatType }> = {
  name: 'cast',
  backward: 'recompute',
  type(inputs, { to }) {
    requireFloat('cast', inputs);
    return { shape: inputs[0]!.shape, dtype: to };
  },
  gradient: (value, upstream) => [cast(upstream, value.inputs[0]!.dtype as FloatType)],
  onnx: (emit, _value, { to }, inputs, output) => {
    emit.node('Cast', inputs, { to: { int: onnxTypes[to] } }, output);
  },
  tfjs: () => {
    throw new TypeError('TensorFlow.js has no half precision. Take --precision fp32');
  },
};

/** The same numbers in another floating-point type; to float16 they are rounded, and beyond ±65504 infinite. */
export const cast = (x: Value, to: FloatType): Value =>
  x.dtype === to ? x : Value.apply(castOperation, [x], { to });
