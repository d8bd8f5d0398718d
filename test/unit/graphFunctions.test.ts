import assert from 'node:assert/strict';
import { readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import * as functions from '../../trainer/graph/functions.ts';
import { gradients } from '../../trainer/graph/gradients.ts';
import { Value } from '../../trainer/graph/value.ts';
import { at, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats } from '../support/operationTests.ts';

describeOperations('functions', functions, {
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
