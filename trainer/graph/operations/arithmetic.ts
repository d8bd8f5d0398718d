import { broadcastShapes, ShapeError } from '../shape.ts';
import { broadcast } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { sumTo } from './reduction.ts';

type BinaryGradient = (a: Value, b: Value, upstream: Value, result: Value) => [Value, Value];

/** An element-wise operation of two operands that broadcast by NumPy's rule. */
function binary(
  name: string,
  onnxType: string,
  kernel: string,
  gradient: BinaryGradient,
): (a: Value, b: Value) => Value {
  const operation: Operation<null> = {
    name,
    backward: 'recompute',
    type(inputs) {
      const dtype = requireFloat(name, inputs);
      return { shape: broadcastShapes(name, inputs[0]!.shape, inputs[1]!.shape), dtype };
    },
    gradient(value, upstream) {
      const [a, b] = value.inputs as [Value, Value];
      const [gradientA, gradientB] = gradient(a, b, upstream, value);
      return [sumTo(gradientA, a.shape), sumTo(gradientB, b.shape)];
    },
    onnx: (emit, _value, _attributes, inputs, output) => {
      emit.node(onnxType, inputs, {}, output);
    },
    tfjs: (emit, _value, _attributes, [a, b]) => emit.kernel(kernel, { a: a!, b: b! }),
  };
  return (a, b) => Value.apply(operation, [a, b], null);
}

type UnaryGradient = (x: Value, upstream: Value, result: Value) => Value;

/** An element-wise function of one operand. */
function unary(name: string, onnxType: string, kernel: string, gradient: UnaryGradient): (x: Value) => Value {
  const operation: Operation<null> = {
    name,
    backward: 'recompute',
    type(inputs) {
      const dtype = requireFloat(name, inputs);
      return { shape: inputs[0]!.shape, dtype };
    },
    gradient: (value, upstream) => [gradient(value.inputs[0]!, upstream, value)],
    onnx: (emit, _value, _attributes, inputs, output) => {
      emit.node(onnxType, inputs, {}, output);
    },
    tfjs: (emit, _value, _attributes, inputs) => emit.kernel(kernel, { x: inputs[0]! }),
  };
  return x => Value.apply(operation, [x], null);
}

export const add = binary('add', 'Add', 'Add', (_a, _b, upstream) => [upstream, upstream]);

export const subtract = binary('subtract', 'Sub', 'Sub', (_a, _b, upstream) => [upstream, negate(upstream)]);

export const multiply = binary('multiply', 'Mul', 'Multiply', (a, b, upstream) => [
  multiply(upstream, b),
  multiply(upstream, a),
]);

export const divide = binary('divide', 'Div', 'RealDiv', (_a, b, upstream, quotient) => {
  const gradient = divide(upstream, b);
  return [gradient, negate(multiply(gradient, quotient))];
});

/** Element-wise maximum; where both are equal the gradient goes to the first. */
export const maximum = binary('maximum', 'Max', 'Maximum', (a, b, upstream) => {
  const zero = Value.constant(0);
  const second = lessThan(a, b);
  return [select(second, zero, upstream), select(second, upstream, zero)];
});

export const negate = unary('negate', 'Neg', 'Neg', (_x, upstream) => negate(upstream));

export const exponential = unary('exponential', 'Exp', 'Exp', (_x, upstream, result) =>
  multiply(upstream, result),
);

export const logarithm = unary('logarithm', 'Log', 'Log', (x, upstream) => divide(upstream, x));

export const squareRoot = unary('squareRoot', 'Sqrt', 'Sqrt', (_x, upstream, result) =>
  divide(multiply(upstream, Value.constant(0.5)), result),
);

export const sigmoid = unary('sigmoid', 'Sigmoid', 'Sigmoid', (_x, upstream, result) =>
  multiply(upstream, multiply(result, subtract(Value.constant(1), result))),
);

export const hyperbolicTangent = unary('hyperbolicTangent', 'Tanh', 'Tanh', (_x, upstream, result) =>
  multiply(upstream, subtract(Value.constant(1), multiply(result, result))),
);

/** The error function of the exact GELU. */
export const errorFunction = unary('errorFunction', 'Erf', 'Erf', (x, upstream) => {
  const slope = multiply(Value.constant(2 / Math.sqrt(Math.PI)), exponential(negate(multiply(x, x))));
  return multiply(upstream, slope);
});

const lessThanOperation: Operation<null> = {
  name: 'lessThan',
  backward: 'recompute',
  type(inputs) {
    requireFloat('lessThan', inputs);
    return { shape: broadcastShapes('lessThan', inputs[0]!.shape, inputs[1]!.shape), dtype: 'bool' };
  },
  gradient: () => [null, null],
  onnx: (emit, _value, _attributes, inputs, output) => {
    emit.node('Less', inputs, {}, output);
  },
  tfjs: (emit, _value, _attributes, [a, b]) => emit.kernel('Less', { a: a!, b: b! }),
};

/** a < b, element-wise; a truth value carries no gradient. */
export const lessThan = (a: Value, b: Value): Value => Value.apply(lessThanOperation, [a, b], null);

const selectOperation: Operation<null> = {
  name: 'select',
  backward: 'recompute',
  type(inputs) {
    const [condition, a, b] = inputs as [Value, Value, Value];
    if (condition.dtype !== 'bool')
      throw new ShapeError(
        'select',
        `the condition is ${condition.dtype}, not bool`,
        condition.shape,
        a.shape,
      );
    const dtype = requireFloat('select', [a, b]);
    const branches = broadcastShapes('select', a.shape, b.shape);
    return { shape: broadcastShapes('select', condition.shape, branches), dtype };
  },
  gradient(value, upstream) {
    const [condition, a, b] = value.inputs as [Value, Value, Value];
    const zero = Value.constant(0);
    return [
      null,
      sumTo(select(condition, upstream, zero), a.shape),
      sumTo(select(condition, zero, upstream), b.shape),
    ];
  },
  onnx: (emit, _value, _attributes, inputs, output) => {
    emit.node('Where', inputs, {}, output);
  },
  tfjs: (emit, value, _attributes, inputs) => {
    const [condition, t, e] = inputs.map(input => broadcast(emit, input, value.shape));
    return emit.kernel('Select', { condition: condition!, t: t!, e: e! });
  },
};

/** `a` where the condition holds, `b` elsewhere: masks. The three broadcast. */
export const select = (condition: Value, a: Value, b: Value): Value =>
  Value.apply(selectOperation, [condition, a, b], null);
