import * as arithmetic from '../../trainer/graph/operations/arithmetic.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import type { Value } from '../../trainer/graph/value.ts';
import { errorFunctionOf, sigmoidOf } from '../support/doubleFunctions.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import {
  blank,
  type CaseInput,
  describeOperations,
  floats,
  map,
  type OperationTests,
  spaced,
  truths,
} from '../support/operationTests.ts';

/** Operand shapes and what they broadcast to. */
const broadcasts: [Shape, Shape, Shape][] = [
  [
    [2, 3],
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3], [2, 3]],
  [
    [2, 1],
    [1, 3],
    [2, 3],
  ],
  [[], [2, 2], [2, 2]],
  [
    [2, 3, 2],
    [3, 1],
    [2, 3, 2],
  ],
  [[], [], []],
  [
    [0, 3],
    [1, 3],
    [0, 3],
  ],
];

type Draw = (shape: Shape) => CaseInput;

function binary(
  graph: (a: Value, b: Value) => Value,
  f: (a: number, b: number) => number,
  drawA: Draw = floats,
  drawB: Draw = floats,
): OperationTests {
  const cases = broadcasts.map(([a, b, shape]) => ({
    inputs: [drawA(a), drawB(b)],
    graph,
    reference: (x: DoubleTensor, y: DoubleTensor) => tabulate(shape, index => f(at(x, index), at(y, index))),
  }));
  return {
    cases,
    refusals: [
      { build: () => graph(blank([2, 3]), blank([2, 4])), naming: ['[2, 3]', '[2, 4]'] },
      { build: () => graph(blank([2, 3]), blank([2])), naming: ['[2, 3]', '[2]'] },
      { build: () => graph(blank([0]), blank([2])), naming: ['[0]', '[2]'] },
      {
        build: () => graph(blank([2]), blank([2], 'int32')),
        naming: ['float32', 'int32'],
        error: TypeError,
      },
    ],
  };
}

function unary(graph: (x: Value) => Value, f: (x: number) => number, low = -2, high = 2): OperationTests {
  return {
    cases: [[2, 3], [], [2, 1, 3], [0, 2]].map(shape => ({
      inputs: [floats(shape, low, high)],
      graph,
      reference: x => map(x, f),
    })),
    refusals: [{ build: () => graph(blank([2], 'bool')), naming: ['float32', 'bool'], error: TypeError }],
  };
}

const positive: Draw = shape => floats(shape, 0.5, 3);
const onGrid: Draw = shape => spaced(shape, 0);
const offGrid: Draw = shape => spaced(shape, 0.125);

describeOperations('arithmetic', arithmetic, {
  add: binary(arithmetic.add, (a, b) => a + b),
  subtract: binary(arithmetic.subtract, (a, b) => a - b),
  multiply: binary(arithmetic.multiply, (a, b) => a * b),
  divide: binary(arithmetic.divide, (a, b) => a / b, floats, positive),
  maximum: binary(arithmetic.maximum, Math.max, onGrid, offGrid),
  lessThan: binary(arithmetic.lessThan, (a, b) => Number(a < b), onGrid, offGrid),
  negate: unary(arithmetic.negate, x => -x),
  exponential: unary(arithmetic.exponential, Math.exp),
  logarithm: unary(arithmetic.logarithm, Math.log, 0.2, 4),
  squareRoot: unary(arithmetic.squareRoot, Math.sqrt, 0.2, 4),
  sigmoid: unary(arithmetic.sigmoid, sigmoidOf, -5, 5),
  hyperbolicTangent: unary(arithmetic.hyperbolicTangent, Math.tanh),
  errorFunction: unary(arithmetic.errorFunction, errorFunctionOf),
  select: {
    cases: (
      [
        [
          [2, 3],
          [2, 3],
          [2, 3],
          [2, 3],
        ],
        [[3], [2, 3], [], [2, 3]],
        [
          [2, 1],
          [1, 3],
          [4, 1, 1],
          [4, 2, 3],
        ],
      ] satisfies [Shape, Shape, Shape, Shape][]
    ).map(([condition, a, b, shape]) => ({
      inputs: [truths(condition), floats(a), floats(b)],
      graph: arithmetic.select,
      reference: (holds, x, y) => tabulate(shape, index => (at(holds, index) ? at(x, index) : at(y, index))),
    })),
    refusals: [
      {
        build: () => arithmetic.select(blank([2], 'bool'), blank([2, 3]), blank([2, 4])),
        naming: ['[2, 3]', '[2, 4]'],
      },
      {
        build: () => arithmetic.select(blank([4], 'bool'), blank([2, 3]), blank([3])),
        naming: ['[4]', '[2, 3]'],
      },
      {
        build: () => arithmetic.select(blank([3]), blank([2, 3]), blank([3])),
        naming: ['float32, not bool', '[3]', '[2, 3]'],
      },
      {
        build: () => arithmetic.select(blank([2], 'bool'), blank([2], 'int32'), blank([2])),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
});
