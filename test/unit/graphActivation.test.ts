import * as activation from '../../trainer/graph/operations/activation.ts';
import type { Value } from '../../trainer/graph/value.ts';
import { errorFunctionOf, sigmoidOf } from '../support/doubleFunctions.ts';
import { blank, describeOperations, floats, map, type OperationTests } from '../support/operationTests.ts';

const testsOf = (graph: (x: Value) => Value, f: (x: number) => number): OperationTests => ({
  cases: [[2, 3], [], [2, 2, 2]].map(shape => ({
    inputs: [floats(shape, -3, 3)],
    graph,
    reference: x => map(x, f),
  })),
  refusals: [{ build: () => graph(blank([2], 'int32')), naming: ['int32'], error: TypeError }],
});

describeOperations('activation', activation, {
  gelu: testsOf(activation.gelu, x => 0.5 * x * (1 + errorFunctionOf(x / Math.SQRT2))),
  quickGelu: testsOf(activation.quickGelu, x => x * sigmoidOf(1.702 * x)),
  silu: testsOf(activation.silu, x => x * sigmoidOf(x)),
});
