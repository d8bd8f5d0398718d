import assert from 'node:assert/strict';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { gradients } from '../../trainer/graph/gradients.ts';
import { multiply } from '../../trainer/graph/operations/arithmetic.ts';
import { attend } from '../../trainer/graph/operations/attend.ts';
import { slice } from '../../trainer/graph/operations/layout.ts';
import { topologicalOrder, Value } from '../../trainer/graph/value.ts';
import { attention } from '../../trainer/models/attention.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { runGraph } from '../support/runGraph.ts';

describe('attention of a large image', () => {
  it('goes head by head where few large products are best', () => {
    const heads = Value.input('heads', [1, 3, 4097, 2]);
    const weights = weightsOf(attention(heads, heads, heads));
    assert.deepEqual(
      weights.map(({ shape }) => shape),
      Array(3).fill([1, 1, 4097, 4097]),
    );
    assert.ok(weights.every(({ operation }) => operation!.backward === 'keepWhenAmple'));
  });

  it('goes some queries of one head at a time and gives what each head gives alone', async () => {
    const shape = [1, 3, 4097, 2];
    const [query, key, value] = ['query', 'key', 'value'].map(name => Value.input(name, shape)) as [
      Value,
      Value,
      Value,
    ];
    const pieceBytes = 8 * 2 ** 20;
    const together = attention(query, key, value, pieceBytes);
    const weights = weightsOf(together);
    assert.ok(weights.every(({ size }) => 4 * size <= pieceBytes));
    assert.ok(
      weights.every(({ operation }) => operation!.backward === 'recompute'),
      'pieces are computed again rather than kept',
    );
    assert.equal(
      weights.reduce((rows, { shape }) => rows + shape[1]! * shape[2]!, 0),
      3 * 4097,
    );
    const second = attention(slice(query, 1, 1, 2), slice(key, 1, 1, 2), slice(value, 1, 1, 2), pieceBytes);
    const inputs = Object.fromEntries(
      ['query', 'key', 'value'].map(name => {
        const random = keyedRandom(7, name);
        return [name, Float32Array.from({ length: 3 * 4097 * 2 }, () => random.float() * 4 - 2)];
      }),
    );
    const engine = new OnnxRuntimeCpuEngine(1);
    const results = await runGraph(engine, { together, second }, inputs);
    await engine.dispose();
    const size = 4097 * 2;
    assert.deepEqual(results.together!.subarray(size, 2 * size), results.second);
    assert.notDeepEqual(results.together!.subarray(0, size), results.second);
    for (const token of [0, 511, 512, 4096]) {
      const expected = attentionOf(token, 2, inputs as Record<'query' | 'key' | 'value', Float32Array>);
      const got = results.together!.subarray(2 * size + 2 * token, 2 * size + 2 * token + 2);
      expected.forEach((number, channel) => {
        assert.ok(Math.abs(number - got[channel]!) < 1e-5, `query ${token}: ${got}, expected ${expected}`);
      });
    }
  });
});

describe('the gradient of attention in pieces', () => {
  it('is that of attention as a whole', async () => {
    const shape = [1, 2, 2900, 2];
    const names = ['query', 'key', 'value'];
    const heads = names.map(name => Value.input(name, shape)) as [Value, Value, Value];
    const upstream = Value.input('upstream', shape);
    const byPieces = gradients([attention(...heads, 2 ** 20)], [upstream], heads);
    const [query, key, value] = heads;
    const scaled = multiply(query, Value.constant(Math.SQRT1_2));
    const whole = gradients([attend(scaled, key, value)], [upstream], heads);
    const outputs = Object.fromEntries(
      names.flatMap((name, index) => [
        [`${name} by pieces`, byPieces[index]!],
        [`${name} as a whole`, whole[index]!],
      ]),
    );
    const feeds = Object.fromEntries(
      [...names, 'upstream'].map(name => {
        const random = keyedRandom(11, name);
        return [name, Float32Array.from({ length: 2 * 2900 * 2 }, () => random.float() * 4 - 2)];
      }),
    );
    const engine = new OnnxRuntimeCpuEngine(1);
    const results = await runGraph(engine, outputs, feeds);
    await engine.dispose();
    for (const name of names) {
      const [got, expected] = [
        results[`${name} by pieces`] as Float32Array,
        results[`${name} as a whole`] as Float32Array,
      ];
      const largest = Math.max(...expected.map(Math.abs));
      const difference = Math.max(...expected.map((number, at) => Math.abs(number - got[at]!)));
      assert.ok(largest > 0.01 && difference < 2e-6 * largest, `${name}: ${difference} of ${largest}`);
    }
  });
});

/** The attention weights that a graph makes. */
const weightsOf = (result: Value): Value[] =>
  topologicalOrder([result]).filter(({ operation }) => operation?.name === 'attention weights by likeness');

/** What one query of a head `[4097, 2]` gets, in double precision. */
function attentionOf(
  token: number,
  head: number,
  { query, key, value }: Record<'query' | 'key' | 'value', Float32Array>,
): number[] {
  const at = (tensor: Float32Array, row: number, channel: number): number =>
    tensor[(head * 4097 + row) * 2 + channel]!;
  const weights = Array.from({ length: 4097 }, (_, row) => {
    const product = at(query, token, 0) * at(key, row, 0) + at(query, token, 1) * at(key, row, 1);
    return Math.exp(product / Math.SQRT2);
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return [0, 1].map(
    channel => weights.reduce((sum, weight, row) => sum + weight * at(value, row, channel), 0) / total,
  );
}
