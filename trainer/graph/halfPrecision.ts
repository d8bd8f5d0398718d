import { cast } from './operations/cast.ts';
import type { Outputs } from './split.ts';
import { type FloatType, isFloat, topologicalOrder, Value } from './value.ts';

/**
 * Operations that run in half precision whatever their operands are. Their kernels add up rows in float32 by
 * themselves, or add up no more than `longestHalfSum` numbers.
 */
const halfOperations: ReadonlySet<string> = new Set([
  'matmul',
  'affine',
  'attend',
  'attention weights',
  'attention weights by likeness',
  'softmax',
  'layerNorm',
]);

/** Operations whose results leave the range or the digits of half precision. */
const fullOperations: ReadonlySet<string> = new Set([
  'sum',
  'divide',
  'exponential',
  'logarithm',
  'squareRoot',
  'errorFunction',
  'convolution2d',
  'transposedConvolution2d',
  'gatherRows',
  'scatterAddRows',
]);

/**
 * ONNX Runtime's WebGPU kernels add up products of half precision in half precision (seen with version 1.30): a sum of
 * 8192 positive products is off by 28 %, one of 768 by 1.7 %. Longer ones run in float32.
 */
const longestHalfSum = 1024;

/**
 * A float32 graph as one that computes in half precision where that is safe, as mixed-precision training does
 * (Micikevicius et al., ICLR 2018): short products, softmax, layer normalisation and what lies between them in float16; long
 * products, sums, squares, quotients and transcendental functions in float32; the rest in the wider type of its operands.
 *
 * @param isHalf tells by name which inputs and outputs are float16 in memory; the others keep their types.
 */
export function inHalfPrecision(outputs: Outputs, isHalf: (name: string) => boolean): Record<string, Value> {
  const rebuilt = new Map<Value, Value>();
  const casts = new Map<Value, Value>();
  const as = (value: Value, dtype: FloatType): Value => {
    const own = rebuilt.get(value)!;
    if (!isFloat(own.dtype) || own.dtype === dtype) return own;
    if (own.constant !== null) return Value.constant(own.constant, own.shape, dtype);
    // There are two floating-point types: each value is cast at most once.
    const known = casts.get(own) ?? cast(own, dtype);
    casts.set(own, known);
    return known;
  };
  for (const value of topologicalOrder(Object.values(outputs))) {
    if (value.operation) {
      const dtype = precisionOf(value, rebuilt);
      const operands = value.inputs.map(input => as(input, dtype));
      rebuilt.set(value, Value.apply(value.operation, operands, value.attributes));
    } else if (value.name !== null && value.dtype === 'float32' && isHalf(value.name))
      rebuilt.set(value, Value.input(value.name, value.shape, 'float16'));
    else rebuilt.set(value, value);
  }
  return Object.fromEntries(
    Object.entries(outputs).map(([name, value]) => [name, as(value, isHalf(name) ? 'float16' : 'float32')]),
  );
}

/** The type that an operation computes in. */
function precisionOf(value: Value, rebuilt: ReadonlyMap<Value, Value>): FloatType {
  const { inputs } = value;
  const { name } = value.operation!;
  const isSquare = name === 'multiply' && inputs[0] === inputs[1];
  if (fullOperations.has(name) || isSquare || lengthOfSums(value) > longestHalfSum) return 'float32';
  if (halfOperations.has(name)) return 'float16';
  const variable = inputs.map(input => rebuilt.get(input)!).filter(({ constant }) => constant === null);
  return variable.some(({ dtype }) => dtype === 'float16') &&
    variable.every(({ dtype }) => dtype !== 'float32')
    ? 'float16'
    : 'float32';
}

/** How many products each element of a matrix product adds up; 0 for other operations. */
function lengthOfSums({ operation, inputs, attributes }: Value): number {
  const { shape } = inputs[0] ?? { shape: [] };
  switch (operation!.name) {
    case 'matmul':
      return shape.at((attributes as { transposeA: boolean }).transposeA ? -2 : -1)!;
    case 'affine':
    case 'attend':
    case 'attention weights by likeness':
      return shape.at(-1)!;
    default:
      return 0;
  }
}
