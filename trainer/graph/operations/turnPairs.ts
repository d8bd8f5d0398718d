import type { OnnxEmitter } from '../onnxEmitter.ts';
import { type Shape, ShapeError } from '../shape.ts';
import { reshaped, sliced } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { multiply, negate } from './arithmetic.ts';
import { reshape } from './layout.ts';
import { sum } from './reduction.ts';

/** One operation, because ONNX Runtime has it as one, which passes over the numbers once instead of four times. */
const turnPairsOperation: Operation<null> = {
  name: 'turnPairs',
  backward: 'recompute',
  type([x, cosine, sine]) {
    const dtype = requireFloat('turnPairs', [x!, cosine!, sine!]);
    const [, tokens, width] = x!.shape;
    if (x!.shape.length !== 3)
      throw new ShapeError('turnPairs', 'takes [images, tokens, heads · d]', x!.shape, cosine!.shape);
    for (const { shape } of [cosine!, sine!])
      if (shape.length !== 2 || shape[0] !== tokens || shape[1] === 0 || width! % (2 * shape[1]!) !== 0)
        throw new ShapeError('turnPairs', 'the table does not fit tokens and heads', x!.shape, shape);
    return { shape: x!.shape, dtype };
  },
  gradient(value, upstream) {
    const [x, cosine, sine] = value.inputs as [Value, Value, Value];
    const quarter = turnPairs(x, Value.constant(0, cosine.shape), Value.constant(1, sine.shape));
    return [
      turnPairs(upstream, cosine, negate(sine)),
      tableGradient(multiply(upstream, x), cosine),
      tableGradient(multiply(upstream, quarter), sine),
    ];
  },
  onnx: (emit, value, _attributes, inputs, output) => {
    if (emit.forProcessor) {
      const operands = [inputs[0]!, emit.integers([0]), inputs[1]!, inputs[2]!];
      emit.node('RotaryEmbedding', operands, { interleaved: { int: 1 } }, output, 'com.microsoft');
    } else emitPlainly(emit, value, inputs, output);
  },
  tfjs: (emit, value, _attributes, [x, cosine, sine]) => {
    const paired = pairShape(value.shape, value.inputs[1]!);
    const pairs = reshaped(emit, x!, paired);
    const member = (index: number) => sliced(emit, pairs, [0, 0, 0, 0, index], [...paired.slice(0, -1), 1]);
    const [first, second] = [member(0), member(1)];
    const [c, s] = [cosine!, sine!].map(table => reshaped(emit, table, perToken(value)));
    const product = (a: typeof first, b: typeof first) => emit.kernel('Multiply', { a, b });
    const turned = [
      emit.kernel('Sub', { a: product(first, c!), b: product(second, s!) }),
      emit.kernel('Add', { a: product(second, c!), b: product(first, s!) }),
    ];
    return reshaped(emit, emit.kernel('Concat', turned, { axis: 4 }), value.shape);
  },
};

/** Sum over images, heads and both channels of a pair. */
const tableGradient = (product: Value, table: Value): Value =>
  reshape(sum(reshape(product, pairShape(product.shape, table)), [0, 2, 4]), table.shape);

/** With ONNX's own operators: x · (cos, cos) + (b, a) · (−sin, sin) of each pair (a, b). */
function emitPlainly(emit: OnnxEmitter, value: Value, inputs: readonly string[], output: string): void {
  const pairs = emit.node('Reshape', [inputs[0]!, emit.integers(pairShape(value.shape, value.inputs[1]!))]);
  const member = (index: number): string =>
    emit.node('Slice', [pairs, ...[index, index + 1, 4].map(place => emit.integers([place]))]);
  const swapped = emit.node('Concat', [member(1), member(0)], { axis: { int: 4 } });
  const table = (name: string): string => emit.node('Reshape', [name, emit.integers(perToken(value))]);
  const sine = table(inputs[2]!);
  const signed = emit.node('Concat', [emit.node('Neg', [sine]), sine], { axis: { int: 4 } });
  const turned = emit.node('Add', [
    emit.node('Mul', [pairs, table(inputs[1]!)]),
    emit.node('Mul', [swapped, signed]),
  ]);
  emit.node('Reshape', [turned, emit.integers(value.shape)], {}, output);
}

/** `[images, tokens, heads · d]` as `[images, tokens, heads, pairs, 2]` */
function pairShape([images, tokens, width]: Shape, { shape: [, pairs] }: Value): number[] {
  return [images!, tokens!, width! / (2 * pairs!), pairs!, 2];
}

/** A table beside numbers of `pairShape`. */
const perToken = ({ inputs }: Value): number[] => {
  const [tokens, pairs] = inputs[1]!.shape as [number, number];
  return [1, tokens, 1, pairs, 1];
};

/**
 * Turns neighbouring channels (a, b) of every head by the angle of their token and pair, as rotary positions do (Su et
 * al., 2021): (a cos − b sin, b cos + a sin).
 *
 * @param x `[images, tokens, heads · d]`
 * @param cosine of the angles, `[tokens, d / 2]`; `sine` likewise.
 */
export const turnPairs = (x: Value, cosine: Value, sine: Value): Value =>
  Value.apply(turnPairsOperation, [x, cosine, sine], null);
