import { gradients } from '../gradients.ts';
import { type Shape, ShapeError, sameShape } from '../shape.ts';
import type { TfjsEmitter, TfjsTensor } from '../tfjsEmitter.ts';
import { matrixProduct, reshaped, transposed } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { multiply } from './arithmetic.ts';
import { attend } from './attend.ts';
import { reshape, transpose } from './layout.ts';

const swapHeadsAndTokens = [0, 2, 1, 3];

/**
 * One operation, because ONNX Runtime has it as one, which goes through the keys piece by piece and has no attention
 * weights in memory. For passes without gradients: the backward pass works all of it out again.
 */
const multiHeadAttentionOperation: Operation<{ heads: number }> = {
  name: 'multiHeadAttention',
  backward: 'keep',
  type([query, key, value], { heads }) {
    const dtype = requireFloat('multiHeadAttention', [query!, key!, value!]);
    const { shape } = query!;
    if (shape.length !== 3 || shape[2]! % heads !== 0)
      throw new ShapeError('multiHeadAttention', 'takes [images, tokens, heads · d]', shape, [heads]);
    for (const other of [key!, value!])
      if (!sameShape(other.shape, shape))
        throw new ShapeError('multiHeadAttention', 'queries, keys and values do not fit', shape, other.shape);
    return { shape, dtype };
  },
  gradient(value, upstream, { heads }) {
    const parts = value.inputs.map(x => partHeads(x, heads)) as [Value, Value, Value];
    const scale = Value.constant(1 / Math.sqrt(parts[0].shape.at(-1)!));
    const mixed = attend(multiply(parts[0], scale), parts[1], parts[2]);
    const joined = reshape(transpose(mixed, swapHeadsAndTokens), value.shape);
    return gradients([joined], [upstream], value.inputs);
  },
  onnx: (emit, { shape }, { heads }, inputs, output) => {
    const scale = 1 / Math.sqrt(shape[2]! / heads);
    if (emit.forProcessor) {
      const attributes = { num_heads: { int: heads }, scale: { float: scale } };
      emit.node('MultiHeadAttention', inputs, attributes, output, 'com.microsoft');
      return;
    }
    const byToken = emit.integers(withHeads(shape, heads));
    const part = (name: string, permutation: readonly number[]): string =>
      emit.node('Transpose', [emit.node('Reshape', [name, byToken])], { perm: { ints: permutation } });
    const query = emit.node('Mul', [part(inputs[0]!, swapHeadsAndTokens), emit.scalar(scale)]);
    const scores = emit.node('MatMul', [query, part(inputs[1]!, [0, 2, 3, 1])]);
    const weights = emit.node('Softmax', [scores], { axis: { int: -1 } });
    const mixed = emit.node('MatMul', [weights, part(inputs[2]!, swapHeadsAndTokens)]);
    const joined = emit.node('Transpose', [mixed], { perm: { ints: swapHeadsAndTokens } });
    emit.node('Reshape', [joined, emit.integers(shape)], {}, output);
  },
  tfjs: (emit, { shape }, { heads }, inputs) => {
    const [query, key, value] = inputs.map(x => partTfjsHeads(emit, x, heads)) as [
      TfjsTensor,
      TfjsTensor,
      TfjsTensor,
    ];
    const scaled = emit.kernel('Multiply', { a: query, b: emit.scalar(1 / Math.sqrt(shape[2]! / heads)) });
    const logits = matrixProduct(emit, scaled, key, { transposeB: true });
    const mixed = matrixProduct(emit, emit.kernel('Softmax', { logits }, { dim: -1 }), value);
    return reshaped(emit, transposed(emit, mixed, swapHeadsAndTokens), shape);
  },
};

/** `[images, tokens, heads · d]` as `[images, tokens, heads, d]` */
const withHeads = ([images, tokens, width]: Shape, heads: number): number[] => [
  images!,
  tokens!,
  heads,
  width! / heads,
];

const partHeads = (x: Value, heads: number): Value =>
  transpose(reshape(x, withHeads(x.shape, heads)), swapHeadsAndTokens);

const partTfjsHeads = (emit: TfjsEmitter, x: TfjsTensor, heads: number): TfjsTensor =>
  transposed(emit, reshaped(emit, x, withHeads(x.shape, heads)), swapHeadsAndTokens);

/** softmax(q kᵀ / √d) v of every head, side by side as they came, `[images, tokens, heads · d]`. */
export const multiHeadAttention = (query: Value, key: Value, value: Value, heads: number): Value =>
  Value.apply(multiHeadAttentionOperation, [query, key, value], { heads });
