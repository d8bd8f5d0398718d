import type { OnnxEmitter } from '../onnxEmitter.ts';
import type { TfjsEmitter, TfjsTensor } from '../tfjsEmitter.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { add, errorFunction, exponential, multiply, sigmoid, subtract } from './arithmetic.ts';

/** Nodes and scalars of the type of the operation that is lowered. */
type NodeEmitter = Pick<OnnxEmitter, 'node'> & { scalar(value: number): string };

/** An activation function with a gradient of few passes; ONNX Runtime knows its lowering as a whole and fuses it. */
function activation(
  name: string,
  slope: (x: Value, result: Value) => Value,
  emitNodes: (emit: NodeEmitter, x: string, output: string) => void,
  runKernels: (emit: TfjsEmitter, x: TfjsTensor) => TfjsTensor,
): (x: Value) => Value {
  const operation: Operation<null> = {
    name,
    backward: 'recompute',
    type(inputs) {
      const dtype = requireFloat(name, inputs);
      return { shape: inputs[0]!.shape, dtype };
    },
    gradient: (value, upstream) => [multiply(upstream, slope(value.inputs[0]!, value))],
    onnx: (emit, { dtype }, _attributes, inputs, output) => {
      const node: NodeEmitter['node'] = (...all) => emit.node(...all);
      emitNodes({ node, scalar: number => emit.scalar(number, dtype) }, inputs[0]!, output);
    },
    tfjs: (emit, _value, _attributes, inputs) => runKernels(emit, inputs[0]!),
  };
  return x => Value.apply(operation, [x], null);
}

const half = Value.constant(0.5);
const one = Value.constant(1);

/** Exact GELU, x · Φ(x): OpenCLIP's activation. Its slope is Φ(x) + x · φ(x). */
export const gelu = activation(
  'gelu',
  x => {
    const cumulative = multiply(half, add(errorFunction(multiply(x, Value.constant(Math.SQRT1_2))), one));
    const density = exponential(multiply(multiply(x, x), Value.constant(-0.5)));
    return add(cumulative, multiply(multiply(x, Value.constant(1 / Math.sqrt(2 * Math.PI))), density));
  },
  (emit, x, output) => {
    const error = emit.node('Erf', [emit.node('Div', [x, emit.scalar(Math.SQRT2)])]);
    const doubled = emit.node('Mul', [x, emit.node('Add', [error, emit.scalar(1)])]);
    emit.node('Mul', [doubled, emit.scalar(0.5)], {}, output);
  },
  (emit, x) => {
    const error = emit.kernel('Erf', { x: emit.kernel('Multiply', { a: x, b: emit.scalar(Math.SQRT1_2) }) });
    const cumulative = emit.kernel('Multiply', {
      a: emit.kernel('Add', { a: error, b: emit.scalar(1) }),
      b: emit.scalar(0.5),
    });
    return emit.kernel('Multiply', { a: x, b: cumulative });
  },
);

const quick = 1.702;

/** y = x · σ(1.702 x): the activation of OpenAI's weights. Its slope is σ + 1.702 y (1 − σ). */
export const quickGelu = activation(
  'quickGelu',
  (x, result) => {
    const gate = sigmoid(multiply(x, Value.constant(quick)));
    return add(gate, multiply(multiply(result, Value.constant(quick)), subtract(one, gate)));
  },
  (emit, x, output) => {
    const gate = emit.node('Sigmoid', [emit.node('Mul', [x, emit.scalar(quick)])]);
    emit.node('Mul', [x, gate], {}, output);
  },
  (emit, x) => {
    const gate = emit.kernel('Sigmoid', { x: emit.kernel('Multiply', { a: x, b: emit.scalar(quick) }) });
    return emit.kernel('Multiply', { a: x, b: gate });
  },
);

/** y = x · σ(x), of SwiGLU. Its slope is σ + y (1 − σ). */
export const silu = activation(
  'silu',
  (x, result) => {
    const gate = sigmoid(x);
    return add(gate, multiply(result, subtract(one, gate)));
  },
  (emit, x, output) => {
    emit.node('Mul', [x, emit.node('Sigmoid', [x])], {}, output);
  },
  (emit, x) => emit.kernel('Multiply', { a: x, b: emit.kernel('Sigmoid', { x }) }),
);
