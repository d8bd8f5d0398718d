import {
  add,
  divide,
  errorFunction,
  maximum,
  multiply,
  sigmoid,
  squareRoot,
} from './operations/arithmetic.ts';
import { sum } from './operations/reduction.ts';
import { Value } from './value.ts';

/** Exact GELU, x · Φ(x): OpenCLIP's activation. */
export function gelu(x: Value): Value {
  const half = multiply(x, Value.constant(0.5));
  return multiply(half, add(errorFunction(multiply(x, Value.constant(Math.SQRT1_2))), Value.constant(1)));
}

/** x · σ(1.702 x): the activation of OpenAI's weights. */
export const quickGelu = (x: Value): Value => multiply(x, sigmoid(multiply(x, Value.constant(1.702))));

/** x / max(‖x‖, 1e-12) over the last axis; zero stays zero, as PyTorch normalises. */
export function l2Normalise(x: Value): Value {
  const squared = sum(multiply(x, x), [-1]);
  // The floor sits under the root so that the gradient at exactly zero is finite: √(1e-24) = 1e-12.
  return divide(x, squareRoot(maximum(squared, Value.constant(1e-24))));
}
