import assert from 'node:assert/strict';
import { lowerToOnnx } from '../../trainer/engines/onnx/lower.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import * as rotary from '../../trainer/graph/operations/turnPairs.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import { Value } from '../../trainer/graph/value.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, type OperationCase } from '../support/operationTests.ts';

const { turnPairs } = rotary;

/** Each pair as a complex number, multiplied by cos + i sin. */
function turned(x: DoubleTensor, cosine: DoubleTensor, sine: DoubleTensor): DoubleTensor {
  const pairs = cosine.shape[1]!;
  return tabulate(x.shape, index => {
    const [image, token, channel] = index as [number, number, number];
    const place = [token, Math.floor(channel / 2) % pairs];
    const [c, s] = [at(cosine, place), at(sine, place)];
    const first = channel - (channel % 2);
    const [a, b] = [at(x, [image, token, first]), at(x, [image, token, first + 1])];
    return channel % 2 === 0 ? a * c - b * s : b * c + a * s;
  });
}

const turning = (shape: Shape, pairs: number): OperationCase => ({
  inputs: [floats(shape), floats([shape[1]!, pairs], -1, 1), floats([shape[1]!, pairs], -1, 1)],
  graph: (x, cosine, sine) => turnPairs(x!, cosine!, sine!),
  reference: (x, cosine, sine) => turned(x!, cosine!, sine!),
});

describeOperations('pairs turned', rotary, {
  turnPairs: {
    cases: [
      turning([1, 1, 2], 1),
      turning([1, 3, 12], 2),
      turning([2, 5, 24], 4),
      turning([2, 2, 80], 20),
      turning([1, 3, 64], 32),
    ],
    refusals: [
      { build: () => turnPairs(blank([6, 4]), blank([6, 2]), blank([6, 2])), naming: ['[6, 4]'] },
      {
        build: () => turnPairs(blank([2, 6, 8]), blank([5, 2]), blank([6, 2])),
        naming: ['[2, 6, 8]', '[5, 2]'],
      },
      {
        build: () => turnPairs(blank([2, 6, 8]), blank([6, 2]), blank([6, 3])),
        naming: ['[2, 6, 8]', '[6, 3]'],
      },
      {
        build: () => turnPairs(blank([2, 6, 8]), blank([6, 2]), blank([6, 2], 'int32')),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
});

describe('pairs turned', () => {
  const tables = [Value.input('cosine', [5, 3]), Value.input('sine', [5, 3])] as const;
  const output = turnPairs(Value.input('x', [2, 5, 12]), ...tables);
  const numbers = (length: number, speed: number): Float32Array =>
    Float32Array.from({ length }, (_, index) => Math.sin(index * speed));
  const fed: Record<string, [Shape, Float32Array]> = {
    x: [[2, 5, 12], numbers(120, 1.7)],
    cosine: [[5, 3], numbers(15, 0.9)],
    sine: [[5, 3], numbers(15, 2.3)],
  };

  it('are one operator of ONNX Runtime for its processor, and ONNX’s own ones for a file', async () => {
    const { InferenceSession, Tensor } = await import('onnxruntime-node');
    const holds = (model: Uint8Array): boolean => Buffer.from(model).includes('com.microsoft');
    assert.ok(holds(lowerToOnnx({ output }, { forProcessor: true })));
    const plain = lowerToOnnx({ output });
    assert.ok(!holds(plain));
    const engine = new OnnxRuntimeCpuEngine(1);
    const program = await engine.compile({ output });
    const own = Object.entries(fed).map(([name, [shape, data]]) => [name, engine.upload(shape, data)]);
    const results = await program.run(Object.fromEntries(own));
    const session = await InferenceSession.create(plain);
    const feeds = Object.entries(fed).map(([name, [shape, data]]) => [
      name,
      new Tensor('float32', data, shape as number[]),
    ]);
    const expected = Object.values(await session.run(Object.fromEntries(feeds)))[0]!.data as Float32Array;
    (await engine.read(results.output!)).forEach((value, index) => {
      assert.ok(Math.abs(value - expected[index]!) <= 1e-6, `${index}: ${value}, ${expected[index]}`);
    });
    await session.release();
    await engine.dispose();
  });
});
