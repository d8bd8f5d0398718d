import { gradients } from './gradients.ts';
import { topologicalOrder, Value } from './value.ts';

/** Named results of a graph. */
export type Outputs = Readonly<Record<string, Value>>;

/**
 * `keep`: results of products and softmax are handed over; `compact`: those but attention weights; `recompute`: the
 * backward program starts from the inputs.
 */
export type SavePolicy = 'keep' | 'compact' | 'recompute';

/** A differentiable part of a model as two programs that run apart. */
export interface ForwardBackward {
  /** The part's outputs, and the values kept for the backward program as `saved/0`, `saved/1`, … */
  forward: Outputs;
  /** `gradient/<input>` for every input asked for; fed with the inputs, what was saved and `upstream/<output>`. */
  backward: Outputs;
  savedNames: readonly string[];
}

export const upstreamName = (output: string): string => `upstream/${output}`;
export const gradientName = (input: string): string => `gradient/${input}`;

/**
 * Splits a graph and its gradients into a forward and a backward program. What the backward program needs of the
 * forward one crosses over by name: the costly intermediate results under `keep`, fewer under `compact`, nothing under `recompute`.
 *
 * @param wrt names of the inputs whose gradients are wanted; those that no output depends on are left out.
 */
export function splitForBackward(
  outputs: Outputs,
  wrt: Iterable<string>,
  policy: SavePolicy,
): ForwardBackward {
  const names = Object.keys(outputs);
  const values = names.map(name => outputs[name]!);
  const inputs = new Map(inputsOf(values).map(value => [value.name!, value]));
  const wanted = [...wrt].filter(name => inputs.has(name));
  const upstreams = names.map((name, index) => Value.input(upstreamName(name), values[index]!.shape));
  const found = gradients(
    values,
    upstreams,
    wanted.map(name => inputs.get(name)!),
  );
  const backward: Record<string, Value> = {};
  wanted.forEach((name, index) => {
    const gradient = found[index];
    if (gradient) backward[gradientName(name)] = gradient;
  });
  if (policy === 'recompute') return { forward: outputs, backward, savedNames: [] };

  const saved = boundary(Object.values(backward), new Set(topologicalOrder(values)), policy);
  const savedNames = saved.map((_, index) => `saved/${index}`);
  const placeholders = new Map(
    saved.map((value, index) => [value, Value.input(savedNames[index]!, value.shape, value.dtype)]),
  );
  return {
    forward: { ...outputs, ...Object.fromEntries(saved.map((value, index) => [savedNames[index]!, value])) },
    backward: substitute(backward, placeholders),
    savedNames,
  };
}

/** The inputs that `values` depend on, in order of first use. */
export function inputsOf(values: Iterable<Value>): Value[] {
  return topologicalOrder(values).filter(value => value.name !== null);
}

/** Forward values that the gradients reach first and that are worth keeping. */
function boundary(roots: readonly Value[], forward: ReadonlySet<Value>, policy: SavePolicy): Value[] {
  const worthKeeping = policy === 'keep' ? ['keep', 'keepWhenAmple'] : ['keep'];
  const kept = new Set<Value>();
  const seen = new Set<Value>();
  const stack = [...roots];
  while (stack.length > 0) {
    const value = stack.pop()!;
    if (seen.has(value)) continue;
    seen.add(value);
    if (forward.has(value) && value.operation && worthKeeping.includes(value.operation.backward))
      kept.add(value);
    else stack.push(...value.inputs);
  }
  return [...kept];
}

/** The same outputs with some values replaced. */
export function substitute(outputs: Outputs, replacements: ReadonlyMap<Value, Value>): Record<string, Value> {
  const rebuilt = new Map(replacements);
  for (const value of topologicalOrder(Object.values(outputs))) {
    if (rebuilt.has(value)) continue;
    const inputs = value.inputs.map(input => rebuilt.get(input)!);
    const unchanged = inputs.every((input, index) => input === value.inputs[index]);
    rebuilt.set(value, unchanged ? value : Value.apply(value.operation!, inputs, value.attributes));
  }
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, rebuilt.get(value)!]));
}
