/** Runs where there is a WebGPU adapter: `test/unit/webGpu.test.ts` starts it with one. */

import assert from 'node:assert/strict';
import { disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { EngineError } from '../../trainer/engines/engineError.ts';
import { requireHalfPrecision } from '../../trainer/engines/halfPrecisionCheck.ts';
import { OnnxRuntimeWebGpuEngine } from '../../trainer/engines/onnx/onnxRuntimeWebGpu.ts';
import { add, lessThan } from '../../trainer/graph/operations/arithmetic.ts';
import { broadcastTo, total } from '../../trainer/graph/operations/reduction.ts';
import { Value } from '../../trainer/graph/value.ts';
import { runGraph } from '../support/runGraph.ts';
import { ownCardVariable } from '../support/softwareGpu.ts';

describe('WebGPU engine', () => {
  let engine: OnnxRuntimeWebGpuEngine;
  const x = Value.input('x', [2]);

  beforeEach(async () => {
    engine = await OnnxRuntimeWebGpuEngine.start();
  });
  afterEach(() => engine.dispose());

  it('takes and gives float32, int32 and bool, also as scalars, empty, constant or handed through', async () => {
    const [flags, number] = [Value.input('flags', [2], 'bool'), Value.input('number', [], 'int32')];
    const empty = Value.input('empty', [0, 2]);
    const inputs = {
      x: Float32Array.of(3, -1),
      flags: Uint8Array.of(1, 0),
      number: Int32Array.of(-7),
      empty: new Float32Array(0),
    };
    const below = lessThan(x, Value.constant(0));
    const outputs = {
      flags,
      number,
      empty,
      x,
      again: x,
      below,
      sum: total(x),
      half: Value.constant(0.5, [3]),
    };
    const results = await runGraph(engine, outputs, inputs);
    assert.deepEqual(results, {
      ...inputs,
      again: inputs.x,
      below: Uint8Array.of(0, 1),
      sum: Float32Array.of(2),
      half: Float32Array.of(0.5, 0.5, 0.5),
    });
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
  });

  it('takes a copy of what is uploaded', async () => {
    const data = Float32Array.of(1, 2);
    const tensor = engine.upload([2], data);
    data.fill(9);
    assert.deepEqual(await engine.read(tensor), Float32Array.of(1, 2));
    tensor.dispose();
    assert.throws(() => tensor.dispose(), /disposed tensor of shape \[2\]/);
  });

  it('runs one program after the other, however many are asked for at once', async () => {
    const program = await engine.compile({ y: add(x, x) });
    const inputs = Array.from({ length: 20 }, (_, index) =>
      engine.upload([2], Float32Array.of(index, -index)),
    );
    const results = await Promise.all(inputs.map(input => program.run({ x: input })));
    for (const [index, { y }] of results.entries())
      assert.deepEqual(await readFloats(engine, y!), Float32Array.of(2 * index, -2 * index));
    for (const result of results) disposeAll(result);
    disposeAll(inputs);
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
  });

  it('refuses feeds that are missing, misshapen or of another engine', async () => {
    const program = await engine.compile({ y: add(x, x) });
    await assert.rejects(program.run({}), /input 'x' was not fed/);
    const wrong = engine.upload([3], new Float32Array(3));
    await assert.rejects(program.run({ x: wrong }), /takes float32 \[2\], got float32 \[3\]/);
    const foreign = { shape: [2], dtype: 'float32', dispose: () => undefined } as const;
    await assert.rejects(program.run({ x: foreign }), /another engine/);
    assert.throws(() => engine.upload([3], new Float32Array(2)), /2 elements do not fill shape \[3\]/);
    wrong.dispose();
  });

  it('computes in half precision, or says that the card has no 16-bit numbers and what to do', async () => {
    const lacking = await requireHalfPrecision(engine).catch((error: unknown) => error);
    if (lacking !== undefined) {
      assert.ok(lacking instanceof EngineError, String(lacking));
      assert.match(lacking.message, /--precision fp16 does not work with the engine webgpu/);
      assert.match(lacking.message, /offers no 16-bit numbers \(shader-f16\)\. Take --precision fp32/);
    }
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
  });

  it('learns the largest tensor of the card, and refuses larger ones by name before anything runs', async () => {
    const limit = await engine.largestTensorBytes();
    assert.ok(limit >= 2 ** 27, String(limit));
    if (limit === Number.POSITIVE_INFINITY) return;
    const elements = limit / 4 + 1024;
    const wide = add(broadcastTo(Value.input('x', [1]), [elements]), Value.constant(1));
    await assert.rejects(engine.compile({ wide }), (error: unknown) => {
      assert.ok(error instanceof EngineError, String(error));
      assert.match(error.message, /tensor is '\w+' \[\d+\], [\d.]+ MiB, is larger than the [\d.]+ MiB that/);
      assert.match(error.message, /Lower the input size, in training also the batch/);
      return true;
    });
  });

  for (const rows of [2 ** 14, ...(process.env[ownCardVariable] ? [] : [2 ** 11])])
    it(`says which tensor did not fit on the card, and goes on: ${rows / 256} GiB`, async () => {
      const column = Value.input('x', [1, 1]);
      const wide = add(broadcastTo(column, [rows, 2 ** 20]), column);
      const huge = await engine.compile({ y: wide });
      const one = engine.upload([1, 1], Float32Array.of(1));
      await assert.rejects(huge.run({ x: one }), (error: unknown) => {
        assert.ok(error instanceof EngineError, String(error));
        assert.match(error.message, /memory left|larger than the graphics card/);
        assert.match(error.message, new RegExp(`\\[${rows}, 1048576\\], ${rows * 4}\\.0 MiB`));
        return true;
      });
      const program = await engine.compile({ y: add(x, x) });
      const input = engine.upload([2], Float32Array.of(1, 2));
      const { y } = await program.run({ x: input });
      assert.deepEqual(await readFloats(engine, y!), Float32Array.of(2, 4));
      disposeAll([one, input, y!]);
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    });
});
