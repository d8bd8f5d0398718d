import { concat } from '../graph/operations/layout.ts';
import type { Value } from '../graph/value.ts';

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
