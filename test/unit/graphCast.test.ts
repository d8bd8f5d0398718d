/** Half precision on the processor: cards may lack it, and TensorFlow.js has none. */

import assert from 'node:assert/strict';
import { disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { fromFloat16, toFloat16 } from '../../trainer/float16.ts';
import { gradients } from '../../trainer/graph/gradients.ts';
import { cast } from '../../trainer/graph/operations/cast.ts';
import { Value } from '../../trainer/graph/value.ts';
import { testTensorflow } from '../support/tensorflow.ts';

/** Ordinary numbers, one below and one above the range, and the smallest that is left. */
const numbers = Float32Array.of(0.1, -2 / 3, 1e-9, 70000, 65504, 2 ** -24, 0, -1234.567);
const rounded = fromFloat16(toFloat16(numbers));

describe('graph operations: cast', () => {
  let engine: OnnxRuntimeCpuEngine;
  before(() => {
    engine = new OnnxRuntimeCpuEngine(1);
  });
  after(async () => {
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  const x = Value.input('x', [numbers.length]);

  it('rounds as the standard says, and comes back exactly', async () => {
    const program = await engine.compile({ half: cast(x, 'float16') });
    const back = await engine.compile({
      full: cast(Value.input('half', [numbers.length], 'float16'), 'float32'),
    });
    const feeds = { x: engine.upload(x.shape, numbers) };
    const halves = await program.run(feeds);
    assert.deepEqual(await engine.read(halves.half!), toFloat16(numbers));
    const results = await back.run(halves);
    assert.deepEqual(await readFloats(engine, results.full!), rounded);
    disposeAll([...Object.values(feeds), ...Object.values(halves), ...Object.values(results)]);
  });

  it('has the rounded upstream as its gradient', async () => {
    const upstream = Value.input('upstream', x.shape);
    const [gradient] = gradients([cast(cast(x, 'float16'), 'float32')], [upstream], [x]);
    const program = await engine.compile({ gradient: gradient! });
    const feeds = { upstream: engine.upload(x.shape, numbers) };
    const results = await program.run(feeds);
    assert.deepEqual(await readFloats(engine, results.gradient!), rounded);
    disposeAll([...Object.values(feeds), ...Object.values(results)]);
  });

  it('takes floating-point numbers only, and is nothing where the type is right', () => {
    assert.throws(() => cast(Value.input('x', [2], 'int32'), 'float16'), /TypeError: cast: .*int32/);
    assert.equal(cast(x, 'float32'), x);
  });

  it('is refused by TensorFlow', async () => {
    const tensorflow = await testTensorflow();
    const program = await tensorflow.compile({ half: cast(x, 'float16') });
    const feeds = { x: tensorflow.upload(x.shape, numbers) };
    await assert.rejects(program.run(feeds), /TensorFlow\.js has no half precision\. Take --precision fp32/);
    disposeAll(feeds);
    await tensorflow.dispose();
  });
});
