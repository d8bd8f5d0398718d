import * as attention from '../../trainer/graph/operations/attend.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, type OperationCase } from '../support/operationTests.ts';

/** Softmax of each row of scores, times the values, written out. */
function attended(scores: DoubleTensor, values: DoubleTensor): DoubleTensor {
  const keys = scores.shape.at(-1)!;
  return tabulate([...scores.shape.slice(0, -1), values.shape.at(-1)!], index => {
    const [place, row, column] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!];
    const shares = Array.from({ length: keys }, (_, key) => Math.exp(at(scores, [...place, row, key])));
    const mixed = shares.reduce((sum, share, key) => sum + share * at(values, [...place, key, column]), 0);
    return mixed / shares.reduce((sum, share) => sum + share, 0);
  });
}

const attending = (batch: Shape, [queries, keys, channels] = [2, 3, 4]): OperationCase => ({
  inputs: [floats([...batch, queries!, keys!]), floats([...batch, keys!, channels!])],
  graph: attention.attend,
  reference: attended,
});

describeOperations('attend', attention, {
  attend: {
    cases: [attending([]), attending([2]), attending([2, 3], [1, 5, 2]), attending([1], [4, 1, 3])],
    refusals: [
      { build: () => attention.attend(blank([2, 3]), blank([4, 5])), naming: ['[2, 3]', '[4, 5]'] },
      {
        build: () => attention.attend(blank([2, 2, 3]), blank([3, 3, 5])),
        naming: ['[2, 2, 3]', '[3, 3, 5]'],
      },
      {
        build: () => attention.attend(blank([2, 3], 'int32'), blank([3, 5])),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
});
