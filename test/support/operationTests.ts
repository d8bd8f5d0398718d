/**
 * Runs tables of graph operations: values and gradients of each engine, in float32, against plain functions in double
 * precision and their central differences.
 */

import assert from 'node:assert/strict';
import { type DeviceTensor, disposeAll, type Engine, type HostData } from '../../trainer/engines/engine.ts';
import { gradients } from '../../trainer/graph/gradients.ts';
import { formatShape, type Shape, ShapeError } from '../../trainer/graph/shape.ts';
import { type DataType, Value } from '../../trainer/graph/value.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { centralDifferences, type DoubleTensor, dot, tabulate } from './doubleTensor.ts';
import { heldTensors, testTensorflow } from './tensorflow.ts';
import { startTestEngine, testsOnCard } from './testEngine.ts';

export interface CaseInput {
  dtype: DataType;
  tensor: DoubleTensor;
}

/** An operation applied to some inputs. The inputs keep away from points without a derivative. */
export interface OperationCase {
  /** What sets this case apart besides the shapes of its inputs. */
  note?: string;
  inputs: readonly CaseInput[];
  graph: (...inputs: Value[]) => Value;
  reference: (...inputs: DoubleTensor[]) => DoubleTensor;
}

/** A graph that must not come into being. */
export interface Refusal {
  build: () => Value;
  /** What the message names: the shapes, or the types for an operation that takes every shape. */
  naming: readonly string[];
  error?: typeof ShapeError | typeof TypeError;
}

export interface OperationTests {
  cases: readonly OperationCase[];
  refusals: readonly Refusal[];
}

let drawn = 0;

/** Float32 numbers between `low` and `high`: both precisions start from the same input. */
export function floats(shape: Shape, low = -2, high = 2): CaseInput {
  const random = keyedRandom(11, 'operation input', drawn++);
  return {
    dtype: 'float32',
    tensor: tabulate(shape, () => Math.fround(low + (high - low) * random.float())),
  };
}

/** Multiples of 1/4 from −2 to 2 plus `offset`: inputs of different offsets are never close to each other. */
export function spaced(shape: Shape, offset: number): CaseInput {
  const random = keyedRandom(11, 'operation input', drawn++);
  return { dtype: 'float32', tensor: tabulate(shape, () => offset + (random.uint(17) - 8) / 4) };
}

export const integers = (values: readonly number[]): CaseInput => ({
  dtype: 'int32',
  tensor: { shape: [values.length], data: Float64Array.from(values) },
});

export function truths(shape: Shape): CaseInput {
  const random = keyedRandom(11, 'operation input', drawn++);
  return { dtype: 'bool', tensor: tabulate(shape, () => random.uint(2)) };
}

/** A graph input that is never fed. */
export const blank = (shape: Shape, dtype: DataType = 'float32'): Value => Value.input('blank', shape, dtype);

export const map = (x: DoubleTensor, f: (value: number) => number): DoubleTensor => ({
  shape: x.shape,
  data: x.data.map(f),
});

const hostData = ({ dtype, tensor: { data } }: CaseInput): HostData => {
  if (dtype === 'float32') return Float32Array.from(data);
  return dtype === 'int32' ? Int32Array.from(data) : Uint8Array.from(data);
};

function assertClose(actual: HostData, expected: DoubleTensor, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.data.length, what);
  const scale = expected.data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
  actual.forEach((value, index) => {
    const difference = Math.abs(value - expected.data[index]!);
    if (!(difference <= tolerance * scale))
      assert.fail(`${what}[${index}]: ${value}, in double precision ${expected.data[index]}`);
  });
}

async function checkCase(
  name: string,
  engine: Engine,
  { inputs, graph, reference }: OperationCase,
): Promise<void> {
  const values = inputs.map(({ tensor, dtype }, index) => Value.input(`input${index}`, tensor.shape, dtype));
  const output = graph(...values);
  const tensors = inputs.map(({ tensor }) => tensor);
  const expected = reference(...tensors);
  assert.deepEqual(output.shape, expected.shape);

  const upstream = floats(output.shape, -1, 1);
  const found = gradients([output], [Value.input('upstream', output.shape)], values);
  const outputs: Record<string, Value> = { output };
  found.forEach((gradient, index) => {
    if (!gradient) return;
    assert.deepEqual(gradient.shape, values[index]!.shape);
    outputs[`gradient${index}`] = gradient;
  });
  const program = await engine.compile(outputs);
  const feeds: Record<string, DeviceTensor> = {};
  for (const fed of Object.keys(program.inputs)) {
    const input = fed === 'upstream' ? upstream : inputs[Number(fed.slice('input'.length))]!;
    feeds[fed] = engine.upload(input.tensor.shape, hostData(input));
  }
  const results = await program.run(feeds);
  assertClose(await engine.read(results.output!), expected, 2e-6, `${name}: value`);
  for (const [index, input] of inputs.entries()) {
    if (input.dtype !== 'float32') {
      assert.equal(found[index], null, 'only float32 has gradients');
      continue;
    }
    const derivatives = centralDifferences(input.tensor, changed =>
      dot(reference(...tensors.with(index, changed)), upstream.tensor),
    );
    const gradient = results[`gradient${index}`];
    const actual = gradient ? await engine.read(gradient) : new Float32Array(input.tensor.data.length);
    assertClose(actual, derivatives, 1e-5, `${name}: gradient of input ${index}`);
  }
  disposeAll(results);
  disposeAll(feeds);
  await program.dispose();
}

const titleOf = ({ inputs, note }: OperationCase): string =>
  `${inputs.map(({ tensor }) => formatShape(tensor.shape)).join(' and ')}${note ? `, ${note}` : ''}`;

/** Tests every exported function of a module; a function without an entry fails. */
export function describeOperations<Module extends object>(
  name: string,
  module: Module,
  tests: Readonly<Record<keyof Module & string, OperationTests>>,
): void {
  describe(`graph operations: ${name}`, () => {
    const engines: Record<string, Engine> = {};
    let heldBefore: number;
    before(async () => {
      heldBefore = heldTensors();
      engines['ONNX Runtime'] = await startTestEngine();
      // On a card the operations of the processor's engines have been tested already.
      if (!testsOnCard()) engines.TensorFlow = await testTensorflow();
    });
    after(async () => {
      for (const engine of Object.values(engines)) {
        assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
        await engine.dispose();
      }
      assert.equal(heldTensors(), heldBefore);
    });

    it('are all tested', () => {
      assert.deepEqual(Object.keys(tests).sort(), Object.keys(module).sort());
    });

    for (const [operation, { cases, refusals }] of Object.entries<OperationTests>(tests))
      describe(operation, () => {
        it('has cases and refusals', () => {
          assert.ok(cases.length > 0 && refusals.length > 0);
        });
        for (const example of cases)
          it(`value and gradients: ${titleOf(example)}`, async () => {
            for (const [name, engine] of Object.entries(engines)) await checkCase(name, engine, example);
          });
        for (const { build, naming, error = ShapeError } of refusals)
          it(`refuses ${naming.join(' and ')}`, () => {
            assert.throws(build, (thrown: unknown) => {
              assert.ok(thrown instanceof error, String(thrown));
              for (const part of naming) assert.ok(thrown.message.includes(part), thrown.message);
              return true;
            });
          });
      });
  });
}
