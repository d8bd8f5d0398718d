import * as gather from '../../trainer/graph/operations/gather.ts';
import { at, tabulate } from '../support/doubleTensor.ts';
import {
  blank,
  describeOperations,
  floats,
  integers,
  type OperationCase,
} from '../support/operationTests.ts';

const gathering = (rows: number, indices: readonly number[]): OperationCase => ({
  note: `rows ${indices.join(', ')}`,
  inputs: [floats([rows, 3]), integers(indices)],
  graph: gather.gatherRows,
  reference: (table, chosen) =>
    tabulate([indices.length, 3], ([row, column]) => at(table, [at(chosen, [row!]), column!])),
});

const scattering = (indices: readonly number[], rows: number): OperationCase => ({
  note: `to rows ${indices.join(', ')} of ${rows}`,
  inputs: [floats([indices.length, 3]), integers(indices)],
  graph: (updates, chosen) => gather.scatterAddRows(updates, chosen, rows),
  reference: (updates, chosen) =>
    tabulate([rows, 3], ([row, column]) =>
      indices.reduce(
        (sum, _, place) => sum + (at(chosen, [place]) === row ? at(updates, [place, column!]) : 0),
        0,
      ),
    ),
});

const { gatherRows, scatterAddRows } = gather;

describeOperations('gather', gather, {
  gatherRows: {
    cases: [gathering(5, [0, 4, 4, 2]), gathering(1, [0]), gathering(4, [])],
    refusals: [
      { build: () => gatherRows(blank([5]), blank([2], 'int32')), naming: ['[5]', '[2]'] },
      { build: () => gatherRows(blank([5, 3]), blank([2, 1], 'int32')), naming: ['[5, 3]', '[2, 1]'] },
      { build: () => gatherRows(blank([5, 3]), blank([2])), naming: ['[5, 3]', '[2]', 'int32'] },
      {
        build: () => gatherRows(blank([5, 3], 'bool'), blank([2], 'int32')),
        naming: ['bool'],
        error: TypeError,
      },
    ],
  },
  scatterAddRows: {
    cases: [scattering([0, 4, 4, 2], 6), scattering([0], 1), scattering([], 3)],
    refusals: [
      { build: () => scatterAddRows(blank([4, 3]), blank([3], 'int32'), 5), naming: ['[4, 3]', '[3]'] },
      { build: () => scatterAddRows(blank([4]), blank([4], 'int32'), 5), naming: ['[4] and [4]'] },
      { build: () => scatterAddRows(blank([4, 3]), blank([4]), 5), naming: ['[4, 3]', '[4]', 'int32'] },
      {
        build: () => scatterAddRows(blank([4, 3], 'int32'), blank([4], 'int32'), 5),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
});
