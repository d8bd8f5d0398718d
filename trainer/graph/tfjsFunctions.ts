import { type Shape, sameShape } from './shape.ts';
import type { TfjsEmitter, TfjsTensor } from './tfjsEmitter.ts';

/** The same elements under another shape. */
export const reshaped = (emit: TfjsEmitter, x: TfjsTensor, shape: Shape): TfjsTensor =>
  sameShape(x.shape, shape) ? x : emit.kernel('Reshape', { x }, { shape });

/** Axis `i` of the result is axis `permutation[i]` of `x`. */
export const transposed = (emit: TfjsEmitter, x: TfjsTensor, permutation: readonly number[]): TfjsTensor =>
  emit.kernel('Transpose', { x }, { perm: permutation });

/** Zeros before and after each axis. */
export const padded = (
  emit: TfjsEmitter,
  x: TfjsTensor,
  paddings: readonly (readonly [before: number, after: number])[],
): TfjsTensor =>
  paddings.every(([before, after]) => before === 0 && after === 0)
    ? x
    : emit.kernel('PadV2', { x }, { paddings, constantValue: 0 });

/** The part of `x` of the given size that starts at `begin`. */
export const sliced = (
  emit: TfjsEmitter,
  x: TfjsTensor,
  begin: readonly number[],
  size: Shape,
): TfjsTensor => (sameShape(x.shape, size) ? x : emit.kernel('Slice', { x }, { begin, size }));

/** Repeats `x` along the axes where it has length 1, or which it lacks in front, until it has `shape`. */
export function broadcast(emit: TfjsEmitter, x: TfjsTensor, shape: Shape): TfjsTensor {
  if (sameShape(x.shape, shape)) return x;
  const aligned = [...Array<number>(shape.length - x.shape.length).fill(1), ...x.shape];
  const reps = shape.map((length, axis) => (aligned[axis] === length ? 1 : length));
  return emit.kernel('Tile', { x: reshaped(emit, x, aligned) }, { reps });
}

export const sums = (emit: TfjsEmitter, x: TfjsTensor, axes: readonly number[]): TfjsTensor =>
  emit.kernel('Sum', { x }, { axis: axes, keepDims: true });

/** The product over the last two axes, `[…, m, k] · […, k, n]`, either side given transposed. */
export const matrixProduct = (
  emit: TfjsEmitter,
  a: TfjsTensor,
  b: TfjsTensor,
  sides: { transposeA?: boolean; transposeB?: boolean } = {},
): TfjsTensor => emit.kernel('BatchMatMul', { a, b }, { transposeA: false, transposeB: false, ...sides });
