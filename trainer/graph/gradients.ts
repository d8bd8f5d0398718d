import { accumulate } from './operations/layout.ts';
import { formatShape, sameShape } from './shape.ts';
import { topologicalOrder, Value } from './value.ts';

/**
 * Reverse-mode derivatives as graph values. Each `outputs[i]` contributes with the upstream gradient
 * `upstreams[i]` of its shape; a scalar loss takes the constant 1.
 *
 * @returns one gradient for each of `wrt`, of its shape; null where no output depends on it.
 */
export function gradients(
  outputs: readonly Value[],
  upstreams: readonly Value[],
  wrt: readonly Value[],
): (Value | null)[] {
  const contributions = new Map<Value, Value[]>();
  const contribute = (value: Value, gradient: Value): void => {
    if (!sameShape(value.shape, gradient.shape))
      throw new Error(
        `gradient of ${value.operation?.name ?? value.name}: shape ${formatShape(gradient.shape)}, ` +
          `not ${formatShape(value.shape)}`,
      );
    const list = contributions.get(value);
    if (list) list.push(gradient);
    else contributions.set(value, [gradient]);
  };
  outputs.forEach((output, index) => {
    contribute(output, upstreams[index]!);
  });

  const order = topologicalOrder(outputs);
  const relevant = dependents(order, wrt);
  const accumulated = new Map<Value, Value>();
  for (const value of order.reverse()) {
    const terms = contributions.get(value);
    if (!terms || !relevant.has(value)) continue;
    const upstream = accumulate(terms);
    accumulated.set(value, upstream);
    const { operation } = value;
    // Frozen parts get no gradient, and nothing is computed for them.
    if (!operation || !value.inputs.some(input => relevant.has(input))) continue;
    operation.gradient(value, upstream, value.attributes).forEach((gradient, index) => {
      const input = value.inputs[index]!;
      if (gradient && relevant.has(input)) contribute(input, gradient);
    });
  }
  return wrt.map(value => accumulated.get(value) ?? null);
}

/** Gradients of a scalar loss. */
export const lossGradients = (loss: Value, wrt: readonly Value[]): (Value | null)[] =>
  gradients([loss], [Value.constant(1, loss.shape)], wrt);

/** The values of `order` (operands first) that depend on any of `sources`, the sources included. */
function dependents(order: readonly Value[], sources: readonly Value[]): Set<Value> {
  const found = new Set(sources);
  for (const value of order) if (value.inputs.some(input => found.has(input))) found.add(value);
  return found;
}
