import type { Shape } from './shape.ts';
import { topologicalOrder, type Value } from './value.ts';

/** Operations that go row by row of their first operand, whatever their attributes. */
const byRow = new Set(['gelu', 'layerNorm', 'quickGelu', 'reshape', 'sigmoid', 'silu']);

/** The same where all operands have these rows. */
const byRowOfAll = new Set(['attend', 'attention weights by likeness', 'multiHeadAttention']);

/**
 * Whether a graph made for one image takes any number of images one after the other in `input`: nothing joins, cuts or
 * turns the first axis of what follows from it, so that rows of different images never meet.
 */
export function rowsCanOpen(output: Value, input: string): boolean {
  const open = new Set<Value>();
  for (const value of topologicalOrder([output])) {
    if (value.name === input) open.add(value);
    if (!value.inputs.some(operand => open.has(operand))) continue;
    if (!keepsRowsApart(value, open)) return false;
    open.add(value);
  }
  return open.has(output);
}

function keepsRowsApart({ operation, attributes, inputs, shape }: Value, open: ReadonlySet<Value>): boolean {
  const allOpen = inputs.every(operand => open.has(operand));
  switch (operation!.name) {
    case 'slice':
      return (attributes as { axis: number }).axis !== 0;
    case 'concat':
      return allOpen && (attributes as { axis: number }).axis !== 0;
    case 'transpose':
      return (attributes as { permutation: readonly number[] }).permutation[0] === 0;
    case 'add':
    case 'multiply':
      return inputs.every(operand => open.has(operand) || isSameForRows(operand, shape));
    case 'turnPairs':
      return open.has(inputs[0]!) && inputs.slice(1).every(table => !open.has(table));
    case 'affine':
      return !open.has(inputs[1]!);
    case 'matmul':
      // The rows of a matrix on the right, or of a turned one, are summed over.
      return shape.length > 2
        ? allOpen
        : !open.has(inputs[1]!) && !(attributes as { transposeA: boolean }).transposeA;
    default:
      return byRow.has(operation!.name) || (allOpen && byRowOfAll.has(operation!.name));
  }
}

/** Whether an operand broadcasts over the first axis of the result. */
const isSameForRows = (operand: Value, result: Shape): boolean =>
  operand.shape.length < result.length || operand.shape[0] === 1;
