import * as normalisation from '../../trainer/graph/operations/normalisation.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import { at, type DoubleTensor, type Index, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, type OperationCase } from '../support/operationTests.ts';

/** The last axis at `index`. */
const rowAt = (x: DoubleTensor, index: Index): number[] =>
  Array.from({ length: x.shape.at(-1)! }, (_, column) => at(x, [...index.slice(0, -1), column]));

const average = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function softmaxOf(x: DoubleTensor): DoubleTensor {
  return tabulate(x.shape, index => {
    const row = rowAt(x, index);
    const largest = Math.max(...row);
    const weights = row.map(value => Math.exp(value - largest));
    return weights[index.at(-1)!]! / weights.reduce((sum, weight) => sum + weight, 0);
  });
}

const normalising = (shape: Shape, epsilon: number): OperationCase => ({
  note: `ε ${epsilon}`,
  inputs: [floats(shape), floats([shape.at(-1)!]), floats([shape.at(-1)!])],
  graph: (x, scale, shift) => normalisation.layerNorm(x, scale, shift, epsilon),
  reference: (x, scale, shift) =>
    tabulate(shape, index => {
      const row = rowAt(x, index);
      const centre = average(row);
      const variance = average(row.map(value => (value - centre) ** 2));
      const standardised = (at(x, index) - centre) / Math.sqrt(variance + epsilon);
      return standardised * at(scale, index) + at(shift, index);
    }),
});

const { layerNorm } = normalisation;

describeOperations('normalisation', normalisation, {
  softmax: {
    cases: [
      ...[[2, 5], [3], [2, 3, 4], [2, 1]].map(shape => ({
        inputs: [floats(shape)],
        graph: normalisation.softmax,
        reference: softmaxOf,
      })),
      {
        note: 'where the exponential alone would overflow',
        inputs: [floats([2, 3], 90, 93)],
        graph: normalisation.softmax,
        reference: softmaxOf,
      },
    ],
    refusals: [
      { build: () => normalisation.softmax(blank([])), naming: ['scalar', '[]'] },
      { build: () => normalisation.softmax(blank([2], 'int32')), naming: ['int32'], error: TypeError },
    ],
  },
  layerNorm: {
    cases: [normalising([3, 6], 1e-5), normalising([2, 3, 4], 1e-5), normalising([5], 0.5)],
    refusals: [
      {
        build: () => layerNorm(blank([2, 3]), blank([2]), blank([3]), 1e-5),
        naming: ['[2, 3]', '[2]'],
      },
      {
        build: () => layerNorm(blank([2, 3]), blank([3]), blank([4]), 1e-5),
        naming: ['[2, 3]', '[4]'],
      },
      {
        build: () => layerNorm(blank([2, 3]), blank([1, 3]), blank([3]), 1e-5),
        naming: ['[2, 3]', '[1, 3]'],
      },
      { build: () => layerNorm(blank([]), blank([]), blank([]), 1e-5), naming: ['[] and []'] },
      {
        build: () => layerNorm(blank([3]), blank([3], 'int32'), blank([3]), 1e-5),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
});
