import assert from 'node:assert/strict';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { gradients, lossGradients } from '../../trainer/graph/gradients.ts';
import {
  add,
  exponential,
  lessThan,
  maximum,
  multiply,
  select,
} from '../../trainer/graph/operations/arithmetic.ts';
import { slice } from '../../trainer/graph/operations/layout.ts';
import { affine, matmul } from '../../trainer/graph/operations/product.ts';
import { total } from '../../trainer/graph/operations/reduction.ts';
import { topologicalOrder, Value } from '../../trainer/graph/value.ts';
import { runGraph } from '../support/runGraph.ts';

const operationNames = (roots: readonly (Value | null)[]): string[] =>
  topologicalOrder(roots.filter(root => root !== null))
    .filter(value => value.operation !== null)
    .map(value => value.operation!.name);

describe('gradients', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  after(() => engine.dispose());

  it('add up over all uses of a value', async () => {
    const x = Value.input('x', [3]);
    const squared = multiply(x, x);
    // x² + x²·x + x: derivative 2x + 3x² + 1.
    const loss = total(add(add(squared, multiply(squared, x)), x));
    const [gradient] = lossGradients(loss, [x]);
    const results = await runGraph(engine, { gradient: gradient! }, { x: Float32Array.of(-1, 0.5, 2) });
    assert.deepEqual([...results.gradient!], [2, 2.75, 17]);
  });

  it('add up over several outputs, one of them part of another', async () => {
    const x = Value.input('x', [2]);
    const squared = multiply(x, x);
    const cubed = multiply(squared, x);
    const upstreams = [Value.constant(10, [2]), Value.constant(1, [2])];
    const [ofX, ofSquared] = gradients([squared, cubed], upstreams, [x, squared]);
    const outputs = { ofX: ofX!, ofSquared: ofSquared! };
    const results = await runGraph(engine, outputs, { x: Float32Array.of(1, 3) });
    assert.deepEqual([...results.ofX!], [23, 87]);
    assert.deepEqual([...results.ofSquared!], [11, 13]);
  });

  it('are the upstream gradient itself for an output that is asked for', () => {
    const x = Value.input('x', [2]);
    const upstream = Value.input('upstream', [2]);
    assert.deepEqual(gradients([x], [upstream], [x]), [upstream]);
  });

  it('are null where no output depends on the value, or only through a truth value', () => {
    const [x, other] = [Value.input('x', [2]), Value.input('other', [2])];
    const [ofOther, ofUnused, ofX] = lossGradients(total(x), [other, exponential(x), x]);
    assert.deepEqual([ofOther, ofUnused], [null, null]);
    assert.deepEqual(ofX!.shape, [2]);

    const masked = select(lessThan(other, Value.constant(0)), x, Value.constant(1));
    assert.equal(lossGradients(total(masked), [other])[0], null);
  });

  it('go to the first operand where a maximum is tied', async () => {
    const [a, b] = [Value.input('a', [3]), Value.input('b', [3])];
    const [ofA, ofB] = lossGradients(total(maximum(a, b)), [a, b]);
    const inputs = { a: Float32Array.of(1, 2, 3), b: Float32Array.of(1, 3, 2) };
    const results = await runGraph(engine, { ofA: ofA!, ofB: ofB! }, inputs);
    assert.deepEqual([...results.ofA!], [1, 0, 1]);
    assert.deepEqual([...results.ofB!], [0, 1, 0]);
  });

  it('compute nothing for frozen parts', () => {
    const x = Value.input('x', [4, 3]);
    const [frozen, trained] = [Value.input('frozen', [5, 3]), Value.input('trained', [2, 5])];
    const bias = Value.input('bias', [2]);
    const hidden = exponential(matmul(x, frozen, { transposeB: true }));
    const loss = total(affine(hidden, trained, bias));

    const found = lossGradients(loss, [trained]);
    // Forward: the product and its exponential; backward: one product with the constant upstream gradient.
    assert.equal(operationNames(found).filter(name => name === 'matmul').length, 2);
    const reached = topologicalOrder([found[0]!]);
    assert.ok(!reached.includes(trained) && !reached.includes(bias), 'of a linear layer no weight is needed');

    const deeper = lossGradients(loss, [frozen, trained]);
    assert.equal(operationNames(deeper).filter(name => name === 'matmul').length, 4);
    assert.ok(!operationNames(lossGradients(loss, [bias])).includes('matmul'));
  });

  it('do not even ask a frozen operation for its gradient', () => {
    const asked: string[] = [];
    const watched = (name: string, x: Value): Value =>
      Value.apply<null>(
        {
          name,
          backward: 'recompute',
          type: inputs => inputs[0]!,
          gradient: (_value, upstream) => {
            asked.push(name);
            return [upstream];
          },
          onnx: () => undefined,
          tfjs: (_emit, _value, _attributes, inputs) => inputs[0]!,
        },
        [x],
        null,
      );
    const [frozen, trained] = [Value.input('frozen', [2]), Value.input('trained', [2])];
    const loss = total(add(watched('of the frozen', frozen), watched('of the trained', trained)));
    assert.notEqual(lossGradients(loss, [trained])[0], null);
    assert.deepEqual(asked, ['of the trained']);
  });

  it('join the slices of a packed projection by one concatenation', async () => {
    const packed = Value.input('packed', [2, 6]);
    const [query, key, value] = [0, 2, 4].map(start => slice(packed, 1, start, start + 2));
    const products = add(multiply(query!, key!), multiply(value!, value!));
    const found = lossGradients(total(products), [packed]);
    const names = operationNames(found);
    assert.equal(names.filter(name => name === 'concat').length, 1);
    assert.ok(!names.includes('pad'));
    const data = Float32Array.of(1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6);
    const results = await runGraph(engine, { gradient: found[0]! }, { packed: data });
    assert.deepEqual([...results.gradient!], [3, 4, 1, 2, 10, 12, -3, -4, -1, -2, -10, -12]);
  });

  it('pad with zeros where only some slices are used', async () => {
    const packed = Value.input('packed', [6]);
    const loss = total(add(slice(packed, 0, 0, 2), multiply(slice(packed, 0, 3, 5), Value.constant(2))));
    const [gradient] = lossGradients(loss, [packed]);
    const results = await runGraph(engine, { gradient: gradient! }, { packed: new Float32Array(6) });
    assert.deepEqual([...results.gradient!], [1, 1, 0, 2, 2, 0]);
  });

  it('refuse an upstream gradient of another shape, naming both', () => {
    const x = Value.input('x', [2, 3]);
    assert.throws(
      () => gradients([x], [Value.input('upstream', [3, 2])], [x]),
      /gradient of x: shape \[3, 2\], not \[2, 3\]/,
    );
  });
});
