import assert from 'node:assert/strict';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { slice } from '../../trainer/graph/operations/layout.ts';
import { topologicalOrder, Value } from '../../trainer/graph/value.ts';
import { attention } from '../../trainer/models/attention.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { runGraph } from '../support/runGraph.ts';

describe('attention of a large image', () => {
  it('goes head by head and gives what each head gives alone', async () => {
    const shape = [1, 3, 4097, 2];
    const [query, key, value] = ['query', 'key', 'value'].map(name => Value.input(name, shape)) as [
      Value,
      Value,
      Value,
    ];
    const together = attention(query, key, value);
    const weights = topologicalOrder([together]).filter(({ shape }) => shape.at(-1) === 4097);
    assert.deepEqual(
      weights.map(({ shape }) => shape[1]),
      [1, 1, 1],
    );
    const second = attention(slice(query, 1, 1, 2), slice(key, 1, 1, 2), slice(value, 1, 1, 2));
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
  });
});
