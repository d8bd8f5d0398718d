import { topologicalOrder, Value } from '../graph/value.ts';
import type { VisionStage } from './visionStage.ts';

/** A stage's result with every input replaced: operations are applied anew, so shapes are checked again. */
function graft(output: Value, replacement: (input: Value) => Value): Value {
  const replaced = new Map<Value, Value>();
  for (const value of topologicalOrder([output])) {
    const operands = value.inputs.map(operand => replaced.get(operand)!);
    if (value.name !== null) replaced.set(value, replacement(value));
    else if (value.operation === null) replaced.set(value, value);
    else replaced.set(value, Value.apply(value.operation, operands, value.attributes));
  }
  return replaced.get(output)!;
}

/**
 * One graph of all stages of a tower.
 *
 * @param first What the first stage takes: pixels or token ids.
 * @returns The last stage's output; `inputs` are the parameters under their checkpoint names, and the tables.
 */
export function joinStages(
  stages: readonly VisionStage[],
  first: Value,
): { output: Value; inputs: Map<string, Value> } {
  const inputs = new Map<string, Value>();
  let current = first;
  for (const stage of stages) {
    const previous = current;
    current = graft(stage.output, input => {
      if (input.name === 'input') return previous;
      const name = stage.parameters[input.name!] ?? input.name!;
      const known = inputs.get(name) ?? Value.input(name, input.shape, input.dtype);
      inputs.set(name, known);
      return known;
    });
  }
  return { output: current, inputs };
}
