import assert from 'node:assert/strict';
import { inHalfPrecision } from '../../trainer/graph/halfPrecision.ts';
import { add, divide, exponential, multiply } from '../../trainer/graph/operations/arithmetic.ts';
import { attend } from '../../trainer/graph/operations/attend.ts';
import { reshape } from '../../trainer/graph/operations/layout.ts';
import { layerNorm } from '../../trainer/graph/operations/normalisation.ts';
import { affine, matmul } from '../../trainer/graph/operations/product.ts';
import { sum } from '../../trainer/graph/operations/reduction.ts';
import { type DataType, topologicalOrder, Value } from '../../trainer/graph/value.ts';

/** Types in which a graph in half precision computes each operation, casts left out, in order. */
function typesOf(graph: Value, half: readonly string[] = []): [string, DataType][] {
  const outputs = inHalfPrecision({ output: graph }, name => half.includes(name));
  return topologicalOrder(Object.values(outputs))
    .filter(({ operation }) => operation !== null && operation.name !== 'cast')
    .map(({ operation, dtype }) => [operation!.name, dtype]);
}

const x = Value.input('x', [4, 8]);
const weight = Value.input('weight', [8, 8]);
const bias = Value.input('bias', [8]);

describe('a graph in half precision', () => {
  it('multiplies matrices in float16, and goes on in it', () => {
    const hidden = multiply(affine(x, weight, bias), Value.constant(0.5));
    assert.deepEqual(typesOf(add(reshape(hidden, [32]), reshape(hidden, [32]))), [
      ['affine', 'float16'],
      ['multiply', 'float16'],
      ['reshape', 'float16'],
      ['reshape', 'float16'],
      ['add', 'float16'],
    ]);
  });

  it('keeps long sums, squares, quotients and exponentials in float32', () => {
    const long = (length: number): Value =>
      matmul(Value.input('a', [2, length]), Value.input('b', [length, 2]));
    assert.deepEqual(typesOf(long(1024)), [['matmul', 'float16']]);
    assert.deepEqual(typesOf(long(1025)), [['matmul', 'float32']]);
    const transposed = matmul(Value.input('a', [1025, 2]), Value.input('b', [1025, 2]), {
      transposeA: true,
    });
    assert.deepEqual(typesOf(transposed), [['matmul', 'float32']]);
    const [queries, keys] = [Value.input('q', [2, 8]), Value.input('k', [2000, 8])];
    assert.deepEqual(
      typesOf(attend(queries, keys, keys)).map(([, type]) => type),
      ['float16', 'float32'],
    );
    const product = matmul(x, weight);
    for (const [name, graph] of [
      ['multiply', multiply(product, product)],
      ['divide', divide(product, product)],
      ['exponential', exponential(product)],
      ['sum', sum(product, [0])],
    ] as const)
      assert.deepEqual(typesOf(graph), [
        ['matmul', 'float16'],
        [name, 'float32'],
      ]);
  });

  it('widens what meets float32, as the gradient of layer normalisation needs it', () => {
    const product = matmul(x, weight);
    const mean = multiply(sum(product, [-1]), Value.constant(1 / 8));
    assert.deepEqual(typesOf(add(product, mean)).at(-1), ['add', 'float32']);
    assert.deepEqual(typesOf(layerNorm(product, bias, bias, 1e-5)).at(-1), ['layerNorm', 'float16']);
  });

  it('leaves inputs and outputs as they are, but for those that it is told', () => {
    const graph = add(matmul(x, weight), Value.constant(1));
    const outputs = inHalfPrecision({ output: graph, kept: graph }, name => ['x', 'kept'].includes(name));
    assert.deepEqual([outputs.output!.dtype, outputs.kept!.dtype], ['float32', 'float16']);
    const inputs = topologicalOrder(Object.values(outputs)).filter(({ name }) => name !== null);
    assert.deepEqual(Object.fromEntries(inputs.map(({ name, dtype }) => [name, dtype])), {
      x: 'float16',
      weight: 'float32',
    });
  });

  it('casts a value once, and no truth value or index', () => {
    const outputs = inHalfPrecision({ a: matmul(x, weight), b: matmul(weight, weight) }, () => false);
    const casts = topologicalOrder(Object.values(outputs)).filter(
      ({ operation, inputs }) => operation?.name === 'cast' && inputs[0]!.name === 'weight',
    );
    assert.equal(casts.length, 1);
    const { rows } = inHalfPrecision({ rows: Value.input('rows', [3], 'int32') }, () => true);
    assert.equal(rows!.dtype, 'int32');
  });
});
