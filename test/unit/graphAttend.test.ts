import * as attention from '../../trainer/graph/operations/attend.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, type OperationCase } from '../support/operationTests.ts';

const total = (terms: readonly number[]): number => terms.reduce((sum, term) => sum + term, 0);

/** Softmax of each row of scores, times the values, written out. */
function attended(scores: DoubleTensor, values: DoubleTensor): DoubleTensor {
  const keys = scores.shape.at(-1)!;
  return tabulate([...scores.shape.slice(0, -1), values.shape.at(-1)!], index => {
    const [place, row, column] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!];
    const shares = Array.from({ length: keys }, (_, key) => Math.exp(at(scores, [...place, row, key])));
    const mixed = shares.map((share, key) => share * at(values, [...place, key, column]));
    return total(mixed) / total(shares);
  });
}

const likeness = (query: DoubleTensor, key: DoubleTensor): DoubleTensor =>
  tabulate([...query.shape.slice(0, -1), key.shape.at(-2)!], index => {
    const [place, row, column] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!];
    const channels = Array.from({ length: key.shape.at(-1)! }, (_, channel) => channel);
    return total(
      channels.map(channel => at(query, [...place, row, channel]) * at(key, [...place, column, channel])),
    );
  });

const byLikeness = (batch: Shape, [queries, keys, channels, out] = [2, 3, 4, 5]): OperationCase => ({
  inputs: [
    floats([...batch, queries!, channels!], -1, 1),
    floats([...batch, keys!, channels!], -1, 1),
    floats([...batch, keys!, out!]),
  ],
  graph: (query, key, values) => attention.attend(query!, key!, values!),
  reference: (query, key, values) => attended(likeness(query, key), values),
});

const byScores = (batch: Shape, [queries, keys, out] = [2, 3, 4]): OperationCase => ({
  inputs: [floats([...batch, queries!, keys!]), floats([...batch, keys!, out!])],
  graph: attention.attendByScores,
  reference: attended,
});

const { attend, attendByScores } = attention;

describeOperations('attend', attention, {
  attend: {
    cases: [byLikeness([]), byLikeness([2]), byLikeness([2, 3], [1, 5, 2, 3]), byLikeness([1], [4, 1, 3, 2])],
    refusals: [
      { build: () => attend(blank([2, 3]), blank([4, 5]), blank([4, 2])), naming: ['[2, 3]', '[4, 5]'] },
      { build: () => attend(blank([2, 3]), blank([4, 3]), blank([5, 2])), naming: ['[2, 4]', '[5, 2]'] },
      {
        build: () => attend(blank([2, 3], 'int32'), blank([4, 3]), blank([4, 2])),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
  attendByScores: {
    cases: [byScores([]), byScores([2]), byScores([2, 3], [1, 5, 2]), byScores([1], [4, 1, 3])],
    refusals: [
      { build: () => attendByScores(blank([2, 3]), blank([4, 5])), naming: ['[2, 3]', '[4, 5]'] },
      { build: () => attendByScores(blank([2, 2, 3]), blank([3, 3, 5])), naming: ['[2, 2, 3]', '[3, 3, 5]'] },
      {
        build: () => attendByScores(blank([2, 3], 'int32'), blank([3, 5])),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
});
