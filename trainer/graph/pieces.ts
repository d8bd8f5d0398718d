import { concat, slice } from './operations/layout.ts';
import type { Value } from './value.ts';

/** Intermediate results up to here are made as a whole. */
export const wholeBytes = 32 * 2 ** 20;

/**
 * Length of pieces of parts of so many bytes each: as long as fits into `pieceBytes`, one part at least. Even pieces made
 * dense features at 1024 px slower (docs/benchmarks.md).
 */
export const pieceLength = (bytes: number, pieceBytes: number): number =>
  Math.max(1, Math.floor(pieceBytes / bytes));

/** The pieces of `size` places, the last one maybe shorter, of `length` of them. */
export const pieceRanges = (length: number, size: number): (readonly [from: number, to: number])[] =>
  Array.from({ length: Math.ceil(length / size) }, (_, piece) => [
    piece * size,
    Math.min((piece + 1) * size, length),
  ]);

export const joinPieces = (pieces: readonly Value[], axis: number): Value =>
  pieces.length === 1 ? pieces[0]! : concat(pieces, axis);

/** Joins along `axis` what `make` gives for `size` of `length` places at a time. */
export function inPieces(
  axis: number,
  length: number,
  size: number,
  make: (from: number, to: number) => Value,
): Value {
  return joinPieces(
    pieceRanges(length, size).map(([from, to]) => make(from, to)),
    axis,
  );
}

/**
 * A layer that knows nothing of other rows, `[rows, …]` → `[rows, …]`, on a few rows at a time where its hidden numbers
 * are many: of a 1024 px image they take 50 MB, which a processor would take from main memory several times.
 *
 * @param bytesOfRow of the hidden numbers.
 * @param pieceBytes see `ImageBatch.hiddenPieceBytes`; all rows go together without it.
 */
export function byRows(
  x: Value,
  bytesOfRow: number,
  pieceBytes: number | undefined,
  layer: (rows: Value) => Value,
): Value {
  const rows = x.shape[0]!;
  if (pieceBytes === undefined || rows * bytesOfRow <= wholeBytes) return layer(x);
  const size = pieceLength(bytesOfRow, pieceBytes);
  return inPieces(0, rows, size, (from, to) => layer(slice(x, 0, from, to)));
}
