import assert from 'node:assert/strict';
import { lowerToOnnx } from '../../trainer/engines/onnx/lower.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import * as attention from '../../trainer/graph/operations/multiHeadAttention.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import { Value } from '../../trainer/graph/value.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, type OperationCase } from '../support/operationTests.ts';

const total = (terms: readonly number[]): number => terms.reduce((sum, term) => sum + term, 0);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Softmax of q kᵀ / √d of each head, times the values, written out. */
function attended(query: DoubleTensor, key: DoubleTensor, value: DoubleTensor, heads: number): DoubleTensor {
  const [, tokens, width] = query.shape as [number, number, number];
  const channels = width / heads;
  return tabulate(query.shape, index => {
    const [image, row, column] = index as [number, number, number];
    const first = Math.floor(column / channels) * channels;
    const shares = upTo(tokens).map(other => {
      const score = total(
        upTo(channels).map(
          channel => at(query, [image, row, first + channel]) * at(key, [image, other, first + channel]),
        ),
      );
      return Math.exp(score / Math.sqrt(channels));
    });
    return total(shares.map((share, other) => share * at(value, [image, other, column]))) / total(shares);
  });
}

const attending = (shape: Shape, heads: number): OperationCase => ({
  note: `${heads} heads`,
  inputs: [floats(shape, -1, 1), floats(shape, -1, 1), floats(shape)],
  graph: (query, key, value) => attention.multiHeadAttention(query!, key!, value!, heads),
  reference: (query, key, value) => attended(query!, key!, value!, heads),
});

const { multiHeadAttention } = attention;

describeOperations('multi-head attention', attention, {
  multiHeadAttention: {
    cases: [
      attending([1, 1, 2], 1),
      attending([1, 3, 4], 2),
      attending([2, 5, 6], 3),
      attending([3, 2, 8], 2),
    ],
    refusals: [
      {
        build: () => multiHeadAttention(blank([2, 3, 5]), blank([2, 3, 5]), blank([2, 3, 5]), 2),
        naming: ['[2, 3, 5]', '[2]'],
      },
      {
        build: () => multiHeadAttention(blank([2, 3, 4]), blank([2, 4, 4]), blank([2, 3, 4]), 2),
        naming: ['[2, 3, 4]', '[2, 4, 4]'],
      },
      {
        build: () => multiHeadAttention(blank([6, 4]), blank([6, 4]), blank([6, 4]), 2),
        naming: ['[6, 4]'],
      },
      {
        build: () => multiHeadAttention(blank([1, 3, 4], 'int32'), blank([1, 3, 4]), blank([1, 3, 4]), 2),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
});

describe('multi-head attention', () => {
  const output = multiHeadAttention(
    Value.input('query', [2, 5, 6]),
    Value.input('key', [2, 5, 6]),
    Value.input('value', [2, 5, 6]),
    3,
  );
  const holds = (model: Uint8Array, name: string): boolean => Buffer.from(model).includes(name);

  it('is one operator of ONNX Runtime for its processor, and ONNX’s own ones for a file', () => {
    assert.ok(holds(lowerToOnnx({ output }, { forProcessor: true }), 'com.microsoft'));
    assert.ok(!holds(lowerToOnnx({ output }), 'com.microsoft'));
  });

  it('gives the same either way', async () => {
    const { InferenceSession, Tensor } = await import('onnxruntime-node');
    const engine = new OnnxRuntimeCpuEngine(1);
    const numbers = upTo(60).map(index => Math.sin(index * 1.7));
    const data = ['query', 'key', 'value'].map((_, place) =>
      Float32Array.from(numbers, number => number + place / 3),
    );
    const program = await engine.compile({ output });
    const feeds = Object.fromEntries(
      ['query', 'key', 'value'].map((name, place) => [name, engine.upload([2, 5, 6], data[place]!)]),
    );
    const results = await program.run(feeds);
    const fused = await engine.read(results.output!);
    const session = await InferenceSession.create(lowerToOnnx({ output }));
    const plain = await session.run(
      Object.fromEntries(
        ['query', 'key', 'value'].map((name, place) => [
          name,
          new Tensor('float32', data[place]!, [2, 5, 6]),
        ]),
      ),
    );
    const expected = Object.values(plain)[0]!.data as Float32Array;
    fused.forEach((value, index) => {
      assert.ok(Math.abs(value - expected[index]!) <= 1e-6, `${index}: ${value}, ${expected[index]}`);
    });
    await session.release();
    await engine.dispose();
  });
});
