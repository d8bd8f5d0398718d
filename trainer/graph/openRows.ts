import { topologicalOrder, type Value } from './value.ts';

/** Operations that work on the places of the first axis one by one, whatever their attributes. */
const byRow = new Set([
  'add',
  'affine',
  'attend',
  'attention weights by likeness',
  'gelu',
  'layerNorm',
  'matmul',
  'multiHeadAttention',
  'multiply',
  'quickGelu',
  'reshape',
  'sigmoid',
]);

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

function keepsRowsApart({ operation, attributes, inputs }: Value, open: ReadonlySet<Value>): boolean {
  switch (operation!.name) {
    case 'slice':
    case 'concat':
      return (attributes as { axis: number }).axis !== 0;
    case 'transpose':
      return (attributes as { permutation: readonly number[] }).permutation[0] === 0;
    case 'affine':
    case 'matmul':
      // As matrices, the right side's rows are summed over.
      return inputs[0]!.shape.length > 2 || !open.has(inputs[1]!);
    default:
      return byRow.has(operation!.name);
  }
}
