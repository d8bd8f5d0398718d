import type { OnnxEmitter } from '../onnxEmitter.ts';
import { paddingOfRows, rowPadding } from '../rowPadding.ts';
import { ShapeError, sameShape } from '../shape.ts';
import { matrixProduct } from '../tfjsFunctions.ts';
import { type DataType, type Operation, requireFloat, Value } from '../value.ts';
import { reshape } from './layout.ts';
import { sum } from './reduction.ts';

interface Sides {
  transposeA: boolean;
  transposeB: boolean;
}

/** Below this many rows or columns a product is too short to earn the copies back. */
const worthPadding = 64;

/** The product of two matrices; on a processor, rows that would collide are padded with zeros, which add nothing. */
function emitGemm(
  emit: OnnxEmitter,
  value: Value,
  { transposeA, transposeB }: Sides,
  inputs: readonly string[],
  output: string,
): void {
  const [left, right, ...bias] = inputs as [string, string, ...string[]];
  const [rows, columns] = value.shape as [number, number];
  const inner = value.inputs[0]!.shape[transposeA ? 0 : 1]!;
  const collide = !transposeA && paddingOfRows(inner) > 0 && Math.min(rows, columns) >= worthPadding;
  const operands =
    emit.forProcessor && collide
      ? [
          padded(emit, left, value.dtype, rows, 1),
          transposeB
            ? padded(emit, right, value.dtype, columns, 1)
            : padded(emit, right, value.dtype, columns, 0),
        ]
      : [left, right];
  const sides = { transA: { int: Number(transposeA) }, transB: { int: Number(transposeB) } };
  emit.node('Gemm', [...operands, ...bias], sides, output);
}

/** Appends zeros along `axis` to a matrix whose other axis has `length`. */
function padded(emit: OnnxEmitter, matrix: string, dtype: DataType, length: number, axis: 0 | 1): string {
  const behind = axis === 1 ? [0, rowPadding] : [rowPadding, 0];
  if (emit.isOpen(matrix))
    return emit.node('Pad', [matrix, emit.integers([0, 0, ...behind]), emit.scalar(0, dtype)]);
  const zeros = emit.filled(0, axis === 1 ? [length, rowPadding] : [rowPadding, length], dtype);
  return emit.node('Concat', [matrix, zeros], { axis: { int: axis } });
}

const matmulOperation: Operation<Sides> = {
  name: 'matmul',
  backward: 'keep',
  type([a, b], { transposeA, transposeB }) {
    const dtype = requireFloat('matmul', [a!, b!]);
    const left = a!.shape;
    const right = b!.shape;
    const batch = left.slice(0, -2);
    if (left.length < 2 || left.length !== right.length || !sameShape(batch, right.slice(0, -2)))
      throw new ShapeError('matmul', 'takes matrices with the same leading axes', left, right);
    const [rows, inner] = transposeA ? [left.at(-1)!, left.at(-2)!] : [left.at(-2)!, left.at(-1)!];
    const [innerRight, columns] = transposeB
      ? [right.at(-1)!, right.at(-2)!]
      : [right.at(-2)!, right.at(-1)!];
    if (inner !== innerRight)
      throw new ShapeError('matmul', `inner lengths ${inner} and ${innerRight} differ`, left, right);
    return { shape: [...batch, rows, columns], dtype };
  },
  gradient(value, upstream, { transposeA, transposeB }) {
    const [a, b] = value.inputs as [Value, Value];
    const gradientA = transposeA
      ? matmul(b, upstream, { transposeA: transposeB, transposeB: true })
      : matmul(upstream, b, { transposeB: !transposeB });
    const gradientB = transposeB
      ? matmul(upstream, a, { transposeA: true, transposeB: transposeA })
      : matmul(a, upstream, { transposeA: !transposeA });
    return [gradientA, gradientB];
  },
  onnx: (emit, value, { transposeA, transposeB }, inputs, output) => {
    const rank = value.shape.length;
    if (rank === 2) {
      emitGemm(emit, value, { transposeA, transposeB }, inputs, output);
      return;
    }
    // ONNX Runtime fuses these transpositions into its batched product.
    const swapped = [...Array(rank - 2).keys(), rank - 1, rank - 2];
    const side = (name: string, flip: boolean): string =>
      flip ? emit.node('Transpose', [name], { perm: { ints: swapped } }) : name;
    emit.node('MatMul', [side(inputs[0]!, transposeA), side(inputs[1]!, transposeB)], {}, output);
  },
  tfjs: (emit, _value, sides, [a, b]) => matrixProduct(emit, a!, b!, sides),
};

/**
 * Matrix product over the last two axes, `[…, m, k] · […, k, n] → […, m, n]`; either side may be given
 * transposed. The leading axes must be equal.
 */
export function matmul(a: Value, b: Value, sides: Partial<Sides> = {}): Value {
  return Value.apply(matmulOperation, [a, b], { transposeA: false, transposeB: false, ...sides });
}

const affineOperation: Operation<null> = {
  name: 'affine',
  backward: 'keep',
  type([x, weight, bias]) {
    const dtype = requireFloat('affine', [x!, weight!, bias!]);
    if (x!.shape.length !== 2 || weight!.shape.length !== 2 || x!.shape[1] !== weight!.shape[1])
      throw new ShapeError('affine', 'the inner lengths differ', x!.shape, weight!.shape);
    if (!sameShape(bias!.shape, [weight!.shape[0]!]))
      throw new ShapeError('affine', 'the bias does not fit the weight', weight!.shape, bias!.shape);
    return { shape: [x!.shape[0]!, weight!.shape[0]!], dtype };
  },
  gradient(value, upstream) {
    const [x, weight, bias] = value.inputs as [Value, Value, Value];
    return [
      matmul(upstream, weight),
      matmul(upstream, x, { transposeA: true }),
      reshape(sum(upstream, [0]), bias.shape),
    ];
  },
  onnx: (emit, value, _attributes, inputs, output) => {
    emitGemm(emit, value, { transposeA: false, transposeB: true }, inputs, output);
  },
  tfjs: (emit, _value, _attributes, [x, weight, bias]) =>
    emit.kernel('Add', { a: matrixProduct(emit, x!, weight!, { transposeB: true }), b: bias! }),
};

/** x · Wᵀ + b, the field's linear layer: `[n, in]`, `[out, in]`, `[out]` → `[n, out]`. One kernel, not two. */
export const affine = (x: Value, weight: Value, bias: Value): Value =>
  Value.apply(affineOperation, [x, weight, bias], null);
