import { divide, maximum, multiply, squareRoot } from './operations/arithmetic.ts';
import { sum } from './operations/reduction.ts';
import { Value } from './value.ts';

/** x / max(‖x‖, 1e-12) over the last axis; zero stays zero, as PyTorch normalises. */
export function l2Normalise(x: Value): Value {
  const squared = sum(multiply(x, x), [-1]);
  // The floor sits under the root so that the gradient at exactly zero is finite: √(1e-24) = 1e-12.
  return divide(x, squareRoot(maximum(squared, Value.constant(1e-24))));
}
