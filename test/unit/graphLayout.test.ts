import assert from 'node:assert/strict';
import * as layout from '../../trainer/graph/operations/layout.ts';
import { sum } from '../../trainer/graph/operations/reduction.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import type { Value } from '../../trainer/graph/value.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, type OperationCase } from '../support/operationTests.ts';

function reshaping(from: Shape, to: Shape): OperationCase {
  return {
    note: `to [${to.join(', ')}]`,
    inputs: [floats(from)],
    graph: x => layout.reshape(x, to),
    reference: x => ({ shape: to, data: x.data }),
  };
}

function transposing(shape: Shape, permutation: readonly number[]): OperationCase {
  return {
    note: `by ${permutation.join(', ')}`,
    inputs: [floats(shape)],
    graph: x => layout.transpose(x, permutation),
    reference: x =>
      tabulate(
        permutation.map(axis => shape[axis]!),
        index =>
          at(
            x,
            shape.map((_, axis) => index[permutation.indexOf(axis)]!),
          ),
      ),
  };
}

const withLength = (shape: Shape, axis: number, length: number): Shape => shape.with(axis, length);

function slicing(shape: Shape, axis: number, start: number, end: number): OperationCase {
  return {
    note: `${start} to ${end} of axis ${axis}`,
    inputs: [floats(shape)],
    graph: x => layout.slice(x, axis, start, end),
    reference: x =>
      tabulate(withLength(shape, axis, end - start), index =>
        at(x, index.with(axis, index.at(axis)! + start)),
      ),
  };
}

function padding(shape: Shape, axis: number, before: number, after: number): OperationCase {
  const length = shape.at(axis)!;
  return {
    note: `${before} before and ${after} after axis ${axis}`,
    inputs: [floats(shape)],
    graph: x => layout.pad(x, axis, before, after),
    reference: x =>
      tabulate(withLength(shape, axis, before + length + after), index => {
        const place = index.at(axis)! - before;
        return place >= 0 && place < length ? at(x, index.with(axis, place)) : 0;
      }),
  };
}

function concatenation(parts: readonly DoubleTensor[], axis: number): DoubleTensor {
  const shape = parts[0]!.shape;
  const length = parts.reduce((total, part) => total + part.shape.at(axis)!, 0);
  return tabulate(withLength(shape, axis, length), index => {
    let place = index.at(axis)!;
    let part = 0;
    while (place >= parts[part]!.shape.at(axis)!) place -= parts[part++]!.shape.at(axis)!;
    return at(parts[part]!, index.with(axis, place));
  });
}

const joining = (shapes: readonly Shape[], axis: number): OperationCase => ({
  note: `along axis ${axis}`,
  inputs: shapes.map(shape => floats(shape)),
  graph: (...parts) => layout.concat(parts, axis),
  reference: (...parts) => concatenation(parts, axis),
});

describeOperations('layout', layout, {
  reshape: {
    cases: [
      reshaping([2, 3], [3, 2]),
      reshaping([2, 3], [2, 3]),
      reshaping([2, 3, 2], [12]),
      reshaping([1, 1], []),
      reshaping([], [1, 1, 1]),
      reshaping([0, 3], [3, 0]),
      reshaping([0, 3], [0]),
    ],
    refusals: [
      { build: () => layout.reshape(blank([2, 3]), [2, 4]), naming: ['[2, 3]', '[2, 4]'] },
      { build: () => layout.reshape(blank([2, 3]), [-2, -3]), naming: ['[2, 3]', '[-2, -3]'] },
    ],
  },
  transpose: {
    cases: [
      transposing([2, 3], [1, 0]),
      transposing([2, 3], [0, 1]),
      transposing([2, 3, 4], [2, 0, 1]),
      transposing([2, 3, 2, 2], [0, 2, 3, 1]),
      transposing([], []),
    ],
    refusals: [
      { build: () => layout.transpose(blank([2, 3]), [0, 2]), naming: ['[2, 3]', '[0, 2]'] },
      { build: () => layout.transpose(blank([2, 3]), [0, 0]), naming: ['[2, 3]', '[0, 0]'] },
      { build: () => layout.transpose(blank([2, 3]), [0]), naming: ['[2, 3]', '[0]'] },
    ],
  },
  slice: {
    cases: [
      slicing([4, 3], 0, 1, 3),
      slicing([4, 3], 1, 0, 2),
      slicing([2, 3, 4], -1, 2, 4),
      slicing([4, 3], 0, 0, 4),
      slicing([4, 3], 0, 2, 2),
    ],
    refusals: [
      { build: () => layout.slice(blank([2, 3]), 1, 2, 4), naming: ['[2, 3]', '[2, 4]'] },
      { build: () => layout.slice(blank([2, 3]), 1, -1, 2), naming: ['[2, 3]', '[-1, 2]'] },
      { build: () => layout.slice(blank([2, 3]), 1, 2, 1), naming: ['[2, 3]', '[2, 1]'] },
      { build: () => layout.slice(blank([2, 3]), 1, 0.5, 1.5), naming: ['[2, 3]', '[0.5, 1.5]'] },
      { build: () => layout.slice(blank([2, 3]), 2, 0, 1), naming: ['axis 2', '[2, 3]'] },
    ],
  },
  pad: {
    cases: [
      padding([2, 3], 0, 1, 2),
      padding([2, 3], -1, 0, 2),
      padding([2, 3, 2], 1, 2, 0),
      padding([2, 3], 0, 0, 0),
      padding([0, 3], 0, 1, 1),
    ],
    refusals: [
      { build: () => layout.pad(blank([2, 3]), 0, -1, 2), naming: ['[2, 3]', '[-1, 2]'] },
      { build: () => layout.pad(blank([2, 3]), 0, 0.5, 0.5), naming: ['[2, 3]', '[0.5, 0.5]'] },
      { build: () => layout.pad(blank([2, 3]), -3, 1, 2), naming: ['axis -3', '[2, 3]'] },
      { build: () => layout.pad(blank([2], 'int32'), 0, 1, 2), naming: ['int32'], error: TypeError },
    ],
  },
  concat: {
    cases: [
      joining(
        [
          [2, 3],
          [1, 3],
        ],
        0,
      ),
      joining(
        [
          [2, 1],
          [2, 3],
          [2, 2],
        ],
        -1,
      ),
      joining(
        [
          [2, 1, 2],
          [2, 2, 2],
        ],
        1,
      ),
      joining([[2, 3]], 0),
      joining(
        [
          [0, 3],
          [2, 3],
        ],
        0,
      ),
    ],
    refusals: [
      { build: () => layout.concat([blank([2, 3]), blank([2, 4])], 0), naming: ['[2, 3]', '[2, 4]'] },
      { build: () => layout.concat([blank([2, 3]), blank([3])], 0), naming: ['[2, 3]', '[3]'] },
      { build: () => layout.concat([blank([]), blank([])], 0), naming: ['axis 0', '[]'] },
      { build: () => layout.concat([], 0), naming: ['axis 0'] },
      {
        build: () => layout.concat([blank([2]), blank([2], 'int32')], 0),
        naming: ['float32', 'int32'],
        error: TypeError,
      },
    ],
  },
  accumulate: {
    cases: [
      {
        inputs: [floats([2, 3]), floats([2, 3]), floats([2, 3])],
        graph: (...terms) => layout.accumulate(terms),
        reference: (a, b, c) => tabulate(a!.shape, index => at(a!, index) + at(b!, index) + at(c!, index)),
      },
      {
        note: 'as tiles',
        inputs: [floats([2, 3]), floats([1, 3])],
        graph: (a, b) => layout.accumulate([layout.pad(b!, 0, 2, 0), layout.pad(a!, 0, 0, 1)]),
        reference: (a, b) => concatenation([a!, b!], 0),
      },
    ],
    refusals: [
      { build: () => layout.accumulate([blank([2, 3]), blank([2, 4])]), naming: ['[2, 3]', '[2, 4]'] },
    ],
  },
});

describe('accumulated padding', () => {
  const operationOf = (value: Value): string | undefined => value.operation?.name;
  const tile = (rows: number, before: number, after: number): Value =>
    layout.pad(blank([rows, 3]), 0, before, after);

  it('becomes one concatenation where it tiles an axis, in any order', () => {
    const tiles = [tile(2, 3, 1), tile(1, 5, 0), tile(3, 0, 3)];
    const result = layout.accumulate(tiles);
    assert.equal(operationOf(result), 'concat');
    assert.deepEqual(
      result.inputs.map(({ shape }) => shape[0]),
      [3, 2, 1],
    );
  });

  it('stays a sum where it overlaps, leaves a gap, lies along other axes or meets another term', () => {
    const others: Value[][] = [
      [tile(3, 0, 1), tile(2, 2, 0)],
      [tile(1, 0, 3), tile(2, 2, 0)],
      [tile(1, 1, 2), tile(2, 2, 0)],
      [tile(1, 0, 3), tile(2, 1, 1)],
      [tile(2, 0, 2), tile(2, 0, 2), tile(2, 2, 0)],
      [tile(2, 0, 2), layout.pad(blank([4, 1]), 1, 2, 0)],
      [tile(2, 0, 2), tile(2, 2, 0), blank([4, 3])],
    ];
    for (const terms of others) assert.equal(operationOf(layout.accumulate(terms)), 'add');
  });

  it('gives back a single term', () => {
    const term = sum(blank([4, 3]), [0]);
    assert.equal(layout.accumulate([term]), term);
  });
});
