import assert from 'node:assert/strict';
import { readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import * as functions from '../../trainer/graph/functions.ts';
import { gradients } from '../../trainer/graph/gradients.ts';
import { Value } from '../../trainer/graph/value.ts';
import { errorFunctionOf, sigmoidOf } from '../support/doubleFunctions.ts';
import { at, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, map, type OperationTests } from '../support/operationTests.ts';

const activation = (graph: (x: Value) => Value, f: (x: number) => number): OperationTests => ({
  cases: [[2, 3], [], [2, 2, 2]].map(shape => ({
    inputs: [floats(shape, -3, 3)],
    graph,
    reference: x => map(x, f),
  })),
  refusals: [{ build: () => graph(blank([2], 'int32')), naming: ['int32 and float32'], error: TypeError }],
});

describeOperations('functions', functions, {
  gelu: activation(functions.gelu, x => 0.5 * x * (1 + errorFunctionOf(x / Math.SQRT2))),
  quickGelu: activation(functions.quickGelu, x => x * sigmoidOf(1.702 * x)),
  l2Normalise: {
    cases: [[3, 4], [5], [2, 3, 2]].map(shape => ({
      inputs: [floats(shape)],
      graph: functions.l2Normalise,
      reference: x =>
        tabulate(x.shape, index => {
          const squares = Array.from(
            { length: shape.at(-1)! },
            (_, column) => at(x, index.with(-1, column)) ** 2,
          );
          return at(x, index) / Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
        }),
    })),
    refusals: [{ build: () => functions.l2Normalise(blank([])), naming: ['axis -1', '[]'] }],
  },
});

describe('l2Normalise at zero', () => {
  it('gives zero and a finite gradient', async () => {
    const engine = new OnnxRuntimeCpuEngine(1);
    const x = Value.input('x', [2, 3]);
    const output = functions.l2Normalise(x);
    const [gradient] = gradients([output], [Value.constant(1, [2, 3])], [x]);
    const program = await engine.compile({ output, gradient: gradient! });
    const results = await program.run({ x: engine.upload([2, 3], Float32Array.of(0, 0, 0, 3, 0, 4)) });
    const values = await readFloats(engine, results.output!);
    assert.deepEqual([...values.subarray(0, 3)], [0, 0, 0]);
    assert.ok((await readFloats(engine, results.gradient!)).every(Number.isFinite));
    await engine.dispose();
  });
});
