import { attendGradients } from '../attendGradients.ts';
import { joinPieces, pieceLength, pieceRanges, wholeBytes } from '../pieces.ts';
import { type Shape, ShapeError, sameShape } from '../shape.ts';
import type { TfjsEmitter, TfjsTensor } from '../tfjsEmitter.ts';
import { matrixProduct, reshaped, transposed } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { add, multiply } from './arithmetic.ts';
import { concat, reshape, slice, transpose } from './layout.ts';

const swapHeadsAndTokens = [0, 2, 1, 3];

interface Attributes {
  heads: number;
  /** What the backward pass makes of attention weights at a time where there are many. */
  pieceBytes: number;
}

/**
 * One operation, because ONNX Runtime has it as one, which goes through the keys piece by piece and has no attention
 * weights in memory. The backward pass makes them again, piece by piece.
 */
const multiHeadAttentionOperation: Operation<Attributes> = {
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
  gradient(value, upstream, attributes) {
    const part = (x: Value): Value => partHeads(x, attributes.heads);
    const [query, key, values] = value.inputs.map(part) as [Value, Value, Value];
    const scale = Value.constant(1 / Math.sqrt(query.shape.at(-1)!));
    const all = [multiply(query, scale), key, values, part(value), part(upstream)] as const;
    const [ofQuery, ofKey, ofValues] = gradientsInPieces(all, attributes);
    return throughOneTensor([multiply(ofQuery, scale), ofKey, ofValues]).map(gradient =>
      reshape(transpose(gradient, swapHeadsAndTokens), value.shape),
    );
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

/**
 * The same gradients, out of one tensor. Apart, ONNX Runtime works out all attention weights for one of them and holds
 * them until it comes to the next: 0.7 GiB more at 1024 px.
 */
function throughOneTensor(gradients: readonly Value[]): Value[] {
  const packed = concat(
    gradients.map(gradient => reshape(gradient, [1, ...gradient.shape])),
    0,
  );
  return gradients.map(({ shape }, index) => reshape(slice(packed, 0, index, index + 1), shape));
}

type ByHead = readonly [query: Value, key: Value, values: Value, mixed: Value, upstream: Value];

/**
 * Gradients of queries, keys and values, `[images, heads, tokens, d]`: of a few heads, or some queries of one head, at a
 * time where their attention weights are many.
 */
function gradientsInPieces(all: ByHead, { heads, pieceBytes }: Attributes): [Value, Value, Value] {
  const [images, , tokens] = all[0].shape as [number, number, number, number];
  const ofQuery = 4 * images * tokens;
  const ofHead = tokens * ofQuery;
  const whole = heads * ofHead <= wholeBytes;
  const headsAtOnce = whole ? heads : Math.min(heads, pieceLength(ofHead, pieceBytes));
  const queriesAtOnce = ofHead <= wholeBytes ? tokens : pieceLength(ofQuery, pieceBytes);
  const pieces = pieceRanges(heads, headsAtOnce).map(([from, to]) =>
    gradientsOfQueries(all.map(x => slice(x, 1, from, to)) as unknown as ByHead, queriesAtOnce),
  );
  return ([0, 1, 2] as const).map(input =>
    joinPieces(
      pieces.map(piece => piece[input]),
      1,
    ),
  ) as [Value, Value, Value];
}

/** The same of some queries at a time. */
function gradientsOfQueries(
  [query, key, values, mixed, upstream]: ByHead,
  atOnce: number,
): [Value, Value, Value] {
  const pieces = pieceRanges(query.shape[2]!, atOnce).map(([from, to]) => {
    const [q, m, u] = [query, mixed, upstream].map(x => slice(x, 2, from, to)) as [Value, Value, Value];
    return attendGradients([q, key, values], m, u);
  });
  const total = (input: 1 | 2): Value =>
    pieces.map(piece => piece[input]).reduce((sum, more) => add(sum, more));
  return [
    joinPieces(
      pieces.map(([ofQuery]) => ofQuery),
      2,
    ),
    total(1),
    total(2),
  ];
}

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

/**
 * softmax(q kᵀ / √d) v of every head, side by side as they came, `[images, tokens, heads · d]`.
 *
 * @param pieceBytes of attention weights that the backward pass makes at a time, see `Engine.pieceBytes`.
 */
export const multiHeadAttention = (
  query: Value,
  key: Value,
  value: Value,
  heads: number,
  pieceBytes = wholeBytes,
): Value => Value.apply(multiHeadAttentionOperation, [query, key, value], { heads, pieceBytes });
