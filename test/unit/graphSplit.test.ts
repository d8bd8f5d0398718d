import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { HostData } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { l2Normalise } from '../../trainer/graph/functions.ts';
import { gradients } from '../../trainer/graph/gradients.ts';
import { quickGelu } from '../../trainer/graph/operations/activation.ts';
import { add, exponential, multiply, sigmoid } from '../../trainer/graph/operations/arithmetic.ts';
import { attend, attendByScores } from '../../trainer/graph/operations/attend.ts';
import { concat, reshape, slice, transpose } from '../../trainer/graph/operations/layout.ts';
import { layerNorm, softmax } from '../../trainer/graph/operations/normalisation.ts';
import { affine, matmul } from '../../trainer/graph/operations/product.ts';
import { mean, sum } from '../../trainer/graph/operations/reduction.ts';
import {
  gradientName,
  inputsOf,
  type Outputs,
  splitForBackward,
  substitute,
  upstreamName,
} from '../../trainer/graph/split.ts';
import { topologicalOrder, Value } from '../../trainer/graph/value.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { maxAbsDifference } from '../support/goldenTensors.ts';
import { runGraph } from '../support/runGraph.ts';

const [rows, width] = [4, 6];
const weight = Value.input('weight', [width, width]);
const bias = Value.input('bias', [width]);
const costly = [
  'matmul',
  'affine',
  'softmax',
  'attend',
  'attention weights',
  'attention weights by likeness',
];

/** Each takes a value `[rows, width]`, and what was computed before it, to another of the same shape. */
const steps: ((x: Value, earlier: Value) => Value)[] = [
  x => affine(x, weight, bias),
  x => matmul(x, weight),
  x => softmax(x),
  x => quickGelu(x),
  x => l2Normalise(x),
  x => layerNorm(x, bias, bias, 1e-5),
  (x, earlier) => add(x, earlier),
  (x, earlier) => multiply(x, sigmoid(earlier)),
  (x, earlier) => matmul(softmax(matmul(x, earlier, { transposeB: true })), earlier),
  (x, earlier) => attend(x, earlier, earlier),
  (x, earlier) => attendByScores(matmul(x, earlier, { transposeB: true }), x),
  x => concat([slice(x, 1, 2, width), slice(x, 1, 0, 2)], 1),
  x => reshape(transpose(reshape(x, [2, rows / 2, width]), [1, 0, 2]), [rows, width]),
  x => add(x, mean(x, [0])),
  (x, earlier) => multiply(x, sum(softmax(earlier), [0])),
];

/** A random composition with two outputs, the second from the middle. */
function compose(choices: readonly number[]): Outputs {
  const values = [Value.input('x', [rows, width])];
  for (const choice of choices)
    values.push(steps[choice]!(values.at(-1)!, values[Math.floor(values.length / 2)]!));
  return { output: values.at(-1)!, middle: values[Math.floor(values.length / 2)]! };
}

function randomInputs(outputs: Outputs): Record<string, HostData> {
  const shapes = new Map(inputsOf(Object.values(outputs)).map(({ name, size }) => [name!, size]));
  for (const [name, { size }] of Object.entries(outputs)) shapes.set(upstreamName(name), size);
  const entries = [...shapes].map(([name, size]) => {
    const random = keyedRandom(5, name);
    return [name, Float32Array.from({ length: size }, () => random.float() * 2 - 1)] as const;
  });
  return Object.fromEntries(entries);
}

/** All gradients in one program, as `splitForBackward` names them. */
function wholeGradients(outputs: Outputs, wrt: readonly string[]): Outputs {
  const names = Object.keys(outputs);
  const wanted = inputsOf(Object.values(outputs)).filter(({ name }) => wrt.includes(name!));
  const found = gradients(
    names.map(name => outputs[name]!),
    names.map(name => Value.input(upstreamName(name), outputs[name]!.shape)),
    wanted,
  );
  return Object.fromEntries(wanted.map(({ name }, index) => [gradientName(name!), found[index]!]));
}

const names = ['x', 'weight', 'bias'];

describe('split for backward', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  after(async () => {
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  it('gives the gradients of one program, whatever is kept', async () => {
    const choices = fc.array(fc.nat(steps.length - 1), { minLength: 1, maxLength: 7 });
    await fc.assert(
      fc.asyncProperty(choices, async chosen => {
        const outputs = compose(chosen);
        const inputs = randomInputs(outputs);
        const expected = await runGraph(engine, wholeGradients(outputs, names), inputs);
        for (const policy of ['keep', 'compact', 'recompute'] as const) {
          const split = splitForBackward(outputs, names, policy);
          const forward = await runGraph(engine, split.forward, inputs);
          const saved = Object.fromEntries(split.savedNames.map(name => [name, forward[name]!]));
          const backward = await runGraph(engine, split.backward, { ...inputs, ...saved });
          assert.deepEqual(Object.keys(backward).sort(), Object.keys(expected).sort());
          for (const [name, gradient] of Object.entries(expected)) {
            const scale = Math.max(1, ...Array.from(gradient, Math.abs));
            const difference = maxAbsDifference(backward[name]!, gradient);
            assert.ok(difference <= 2e-6 * scale, `${policy} ${name}: ${difference} of ${scale}`);
          }
        }
      }),
      { numRuns: 60, seed: 1 },
    );
  }).timeout(20_000);

  it('hands over products and softmax alone, and nothing under recompute', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(steps.length - 1), { minLength: 1, maxLength: 8 }), chosen => {
        const outputs = compose(chosen);
        const { forward, backward, savedNames } = splitForBackward(outputs, names, 'keep');
        assert.deepEqual(Object.keys(forward), ['output', 'middle', ...savedNames]);
        assert.equal(new Set(savedNames.map(name => forward[name])).size, savedNames.length);
        for (const name of savedNames) assert.ok(costly.includes(forward[name]!.operation!.name));
        // Nothing costly of the forward pass is computed again.
        const kept = topologicalOrder(Object.values(outputs)).filter(({ operation }) =>
          operation?.backward.startsWith('keep'),
        );
        const again = new Set(topologicalOrder(Object.values(backward)));
        for (const value of kept) assert.ok(!again.has(value));

        const recomputed = splitForBackward(outputs, names, 'recompute');
        assert.deepEqual(recomputed.savedNames, []);
        assert.equal(recomputed.forward, outputs);
        const fed = inputsOf(Object.values(recomputed.backward)).map(({ name }) => name!);
        for (const name of fed) assert.ok([...names, 'upstream/output', 'upstream/middle'].includes(name));
      }),
      { numRuns: 200, seed: 2 },
    );
  });

  it('feeds the backward program with nothing that was not announced', () => {
    const x = Value.input('x', [rows, width]);
    const { backward, savedNames } = splitForBackward({ output: softmax(matmul(x, weight)) }, names, 'keep');
    assert.deepEqual(savedNames, ['saved/0']);
    assert.deepEqual(Object.keys(backward), ['gradient/x', 'gradient/weight']);
    const fed = inputsOf(Object.values(backward)).map(({ name }) => name);
    assert.deepEqual(fed.sort(), ['saved/0', 'upstream/output', 'weight', 'x']);
  });

  it('leaves out inputs that no output depends on', () => {
    const x = Value.input('x', [2]);
    const { backward } = splitForBackward({ output: exponential(x) }, ['x', 'absent'], 'keep');
    assert.deepEqual(Object.keys(backward), ['gradient/x']);
  });
});

describe('substitution', () => {
  it('replaces values, keeps what is shared shared and what is untouched the same object', () => {
    const [x, y] = [Value.input('x', [2]), Value.input('y', [2])];
    const shared = exponential(x);
    const untouched = sigmoid(y);
    const replacement = Value.input('replacement', [2]);
    const { a, b, c } = substitute(
      { a: add(shared, untouched), b: multiply(shared, shared), c: untouched },
      new Map([[x, replacement]]),
    );
    assert.equal(c, untouched);
    assert.equal(a!.inputs[1], untouched);
    assert.equal(b!.inputs[0], b!.inputs[1]);
    assert.equal(a!.inputs[0], b!.inputs[0]);
    assert.deepEqual(b!.inputs[0]!.inputs, [replacement]);
  });

  it('stops at a replaced value and replaces outputs themselves', () => {
    const x = Value.input('x', [2]);
    const inner = exponential(x);
    const replacement = Value.input('replacement', [2]);
    const result = substitute({ inner, outer: sigmoid(inner) }, new Map([[inner, replacement]]));
    assert.equal(result.inner, replacement);
    assert.deepEqual(inputsOf(Object.values(result)), [replacement]);
  });
});
