import assert from 'node:assert/strict';
import { createEngine } from '../../trainer/engines/createEngine.ts';
import { CpuMemory } from '../../trainer/engines/onnx/cpuMemory.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { multiply } from '../../trainer/graph/operations/arithmetic.ts';
import { softmax } from '../../trainer/graph/operations/normalisation.ts';
import { matmul } from '../../trainer/graph/operations/product.ts';
import { total } from '../../trainer/graph/operations/reduction.ts';
import { Value } from '../../trainer/graph/value.ts';
import { describeEngine, random } from '../support/engineContract.ts';
import { runGraph } from '../support/runGraph.ts';

describeEngine('ONNX Runtime engine', async () => new OnnxRuntimeCpuEngine(1), {
  badIndex: /out of data bounds/,
  sameName: /two inputs are called 'x'/,
});

describe('results of the ONNX Runtime engine', () => {
  it('are written into their arrays and not copied', async () => {
    const engine = new OnnxRuntimeCpuEngine(1);
    const x = Value.input('x', [2 ** 20]);
    const program = await engine.compile({ doubled: multiply(x, Value.constant(2)) });
    const feed = engine.upload([2 ** 20], new Float32Array(2 ** 20).fill(1.5));
    (await program.run({ x: feed })).doubled!.dispose();
    const before = process.memoryUsage().arrayBuffers;
    // The second run takes the array of the first; a copy would be an array of its own.
    const { doubled } = await program.run({ x: feed });
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
    assert.ok((await engine.read(doubled!)).every(value => value === 3));
    await engine.dispose();
  });
});

describe('engine threads', () => {
  it('must be a whole number from 0 to 1024', () => {
    for (const threads of [-1, 1.5, 1025, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => new OnnxRuntimeCpuEngine(threads), /whole number from 0 to 1024/);
  });

  for (const threads of [0, 1, 2])
    it(`${threads}: every run gives the same bits`, async () => {
      const [size, width] = [96, 128];
      const a = Value.input('a', [size, width]);
      const scores = softmax(matmul(a, a, { transposeB: true }));
      const outputs = { y: matmul(scores, a), sum: total(multiply(scores, scores)) };
      const inputs = { a: random('a', size * width) };
      const results = [];
      for (let attempt = 0; attempt < 2; attempt++) {
        const engine = new OnnxRuntimeCpuEngine(threads);
        results.push(await runGraph(engine, outputs, inputs), await runGraph(engine, outputs, inputs));
        await engine.dispose();
      }
      for (const result of results) assert.deepEqual(result, results[0]);
    });
});

describe('createEngine', () => {
  it('knows engines by name', async () => {
    for (const name of ['auto', 'cpu']) {
      const engine = await createEngine(name, 1);
      assert.equal(engine.name, 'cpu');
      assert.match(engine.version, /^onnxruntime-node \d+\.\d+/);
      await engine.dispose();
    }
    await assert.rejects(
      createEngine('abacus', 1),
      /no engine 'abacus': choose one of auto, cpu, webgpu, tensorflow/,
    );
  });
});

describe('CPU memory', () => {
  it('hands returned arrays out again, by type and size', () => {
    const memory = new CpuMemory(1024);
    const array = memory.take('float32', 4);
    memory.giveBack('float32', array);
    assert.notEqual(memory.take('float32', 5), array);
    assert.ok(memory.take('int32', 4) instanceof Int32Array);
    assert.equal(memory.take('float32', 4), array);
    assert.notEqual(memory.take('float32', 4), array);
    assert.deepEqual([memory.liveTensors, memory.liveBytes], [4, 20 + 3 * 16]);
  });

  it('holds no more than what lived at once and a little beyond, and nothing once cleared', () => {
    const memory = new CpuMemory(16);
    const arrays = [1, 2, 3].map(() => memory.take('float32', 4));
    for (const array of arrays) memory.giveBack('float32', array);
    assert.deepEqual([memory.liveTensors, memory.liveBytes], [0, 0]);
    const again = [1, 2, 3, 4].map(() => memory.take('float32', 4));
    assert.equal(again.filter(array => arrays.includes(array)).length, 3);
    for (const array of again) memory.giveBack('float32', array);
    memory.clear();
    assert.ok(!again.includes(memory.take('float32', 4)));
  });

  it('lets go first of sizes that were longest not used', () => {
    const memory = new CpuMemory(0);
    const [four, eight] = [memory.take('float32', 4), memory.take('float32', 8)];
    memory.giveBack('float32', eight);
    memory.giveBack('float32', four);
    const sixteen = memory.take('float32', 2);
    assert.equal(memory.take('float32', 4), four, 'used last');
    assert.notEqual(memory.take('float32', 8), eight, 'had to go: 56 bytes were never held at once');
    assert.equal(sixteen.length, 2);
  });
});
