import * as reduction from '../../trainer/graph/operations/reduction.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import type { Value } from '../../trainer/graph/value.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, map, type OperationCase } from '../support/operationTests.ts';

/** Adds every element of `x` to where `broadcast` of the result's shape would have taken it from. */
function sumInto(x: DoubleTensor, shape: Shape): DoubleTensor {
  const result = tabulate(shape, () => 0);
  const leading = x.shape.length - shape.length;
  tabulate(x.shape, index => {
    const place = shape.reduce(
      (position, length, axis) => position * length + (length === 1 ? 0 : index[leading + axis]!),
      0,
    );
    result.data[place]! += at(x, index);
    return 0;
  });
  return result;
}

const reducedShape = (shape: Shape, axes: readonly number[]): Shape =>
  shape.map((length, axis) => (axes.includes(axis) || axes.includes(axis - shape.length) ? 1 : length));

const reducing = (
  graph: (x: Value, axes: readonly number[]) => Value,
  shape: Shape,
  axes: readonly number[],
  averages: boolean,
): OperationCase => ({
  note: `over axes [${axes.join(', ')}]`,
  inputs: [floats(shape)],
  graph: x => graph(x, axes),
  reference: x => {
    const sums = sumInto(x, reducedShape(shape, axes));
    return averages ? map(sums, value => (value * sums.data.length) / x.data.length) : sums;
  },
});

const reductions: [Shape, readonly number[]][] = [
  [[2, 3], [0]],
  [[2, 3], [-1]],
  [
    [2, 3, 4],
    [0, 2],
  ],
  [
    [2, 3],
    [0, 1],
  ],
  [[2, 3], []],
  [[], []],
];

const expanding = (from: Shape, to: Shape): OperationCase => ({
  note: `to [${to.join(', ')}]`,
  inputs: [floats(from)],
  graph: x => reduction.broadcastTo(x, to),
  reference: x => tabulate(to, index => at(x, index)),
});

describeOperations('reduction', reduction, {
  sum: {
    cases: [
      ...reductions.map(([shape, axes]) => reducing(reduction.sum, shape, axes, false)),
      reducing(reduction.sum, [0, 3], [0], false),
    ],
    refusals: [
      { build: () => reduction.sum(blank([2, 3]), [2]), naming: ['axis 2', '[2, 3]'] },
      { build: () => reduction.sum(blank([2, 3]), [0, -2]), naming: ['[2, 3]', '[0, -2]'] },
      { build: () => reduction.sum(blank([2, 3], 'int32'), [0]), naming: ['int32'], error: TypeError },
    ],
  },
  mean: {
    cases: reductions.map(([shape, axes]) => reducing(reduction.mean, shape, axes, true)),
    refusals: [
      { build: () => reduction.mean(blank([2, 3]), [-3]), naming: ['axis -3', '[2, 3]'] },
      { build: () => reduction.mean(blank([2, 3]), [1, 1]), naming: ['[2, 3]', '[1, 1]'] },
    ],
  },
  total: {
    cases: [[2, 3], [], [4], [0]].map(shape => ({
      inputs: [floats(shape)],
      graph: reduction.total,
      reference: x => sumInto(x, []),
    })),
    refusals: [{ build: () => reduction.total(blank([2], 'bool')), naming: ['bool'], error: TypeError }],
  },
  broadcastTo: {
    cases: [
      expanding([3], [2, 3]),
      expanding([2, 1], [2, 3]),
      expanding([], [2, 2]),
      expanding([2, 3], [2, 3]),
      expanding([1, 3], [0, 3]),
    ],
    refusals: [
      { build: () => reduction.broadcastTo(blank([2, 3]), [2, 4]), naming: ['[2, 3]', '[2, 4]'] },
      { build: () => reduction.broadcastTo(blank([2, 3]), [3]), naming: ['[2, 3]', '[3]'] },
      { build: () => reduction.broadcastTo(blank([2, 3]), [1, 3]), naming: ['[2, 3]', '[1, 3]'] },
    ],
  },
  sumTo: {
    cases: (
      [
        [[2, 3], [3]],
        [
          [2, 3],
          [2, 1],
        ],
        [
          [4, 2, 3],
          [1, 3],
        ],
        [[2, 3], []],
        [
          [2, 3],
          [2, 3],
        ],
      ] satisfies [Shape, Shape][]
    ).map(([from, to]) => ({
      note: `to [${to.join(', ')}]`,
      inputs: [floats(from)],
      graph: x => reduction.sumTo(x, to),
      reference: x => sumInto(x, to),
    })),
    refusals: [{ build: () => reduction.sumTo(blank([2, 3]), [2]), naming: ['[2, 3]', '[2]'] }],
  },
});
