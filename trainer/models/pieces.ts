import { concat, slice } from '../graph/operations/layout.ts';
import type { Value } from '../graph/value.ts';

/** Intermediate results up to here are made as a whole. */
export const wholeBytes = 32 * 2 ** 20;

/**
 * Length of pieces of parts of so many bytes each: as long as fits into `pieceBytes`, one part at least. Even pieces made
 * dense features at 1024 px slower (docs/benchmarks.md).
 */
export const pieceLength = (bytes: number, pieceBytes: number): number =>
  Math.max(1, Math.floor(pieceBytes / bytes));

/** Joins along `axis` what `make` gives for `size` of `length` places at a time. */
export function inPieces(
  axis: number,
  length: number,
  size: number,
  make: (from: number, to: number) => Value,
): Value {
  const pieces: Value[] = [];
  for (let from = 0; from < length; from += size) pieces.push(make(from, Math.min(from + size, length)));
  return pieces.length === 1 ? pieces[0]! : concat(pieces, axis);
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
