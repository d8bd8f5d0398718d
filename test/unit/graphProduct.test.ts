import assert from 'node:assert/strict';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import * as product from '../../trainer/graph/operations/product.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import { Value } from '../../trainer/graph/value.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, type OperationCase } from '../support/operationTests.ts';
import { runGraph } from '../support/runGraph.ts';

function productOf(a: DoubleTensor, b: DoubleTensor, flipA: boolean, flipB: boolean): DoubleTensor {
  const batch = a.shape.slice(0, -2);
  const [rows, inner] = flipA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const columns = b.shape.at(flipB ? -2 : -1)!;
  return tabulate([...batch, rows, columns], index => {
    const place = index.slice(0, -2);
    const [row, column] = [index.at(-2)!, index.at(-1)!];
    let sum = 0;
    for (let k = 0; k < inner; k++)
      sum +=
        at(a, [...place, ...(flipA ? [k, row] : [row, k])]) *
        at(b, [...place, ...(flipB ? [column, k] : [k, column])]);
    return sum;
  });
}

const multiplying = (
  batch: Shape,
  transposeA: boolean,
  transposeB: boolean,
  [rows, inner, columns] = [2, 3, 4],
): OperationCase => ({
  note: `${transposeA ? 'Aᵀ' : 'A'}·${transposeB ? 'Bᵀ' : 'B'}`,
  inputs: [
    floats([...batch, ...(transposeA ? [inner!, rows!] : [rows!, inner!])]),
    floats([...batch, ...(transposeB ? [columns!, inner!] : [inner!, columns!])]),
  ],
  graph: (a, b) => product.matmul(a, b, { transposeA, transposeB }),
  reference: (a, b) => productOf(a, b, transposeA, transposeB),
});

const sides = [false, true];

describeOperations('product', product, {
  matmul: {
    cases: [
      ...[[], [3], [2, 2]].flatMap(batch =>
        sides.flatMap(transposeA => sides.map(transposeB => multiplying(batch, transposeA, transposeB))),
      ),
      multiplying([], false, false, [2, 0, 3]),
      multiplying([], false, true, [0, 2, 3]),
      multiplying([2], false, false, [1, 1, 1]),
    ],
    refusals: [
      { build: () => product.matmul(blank([2, 3]), blank([4, 5])), naming: ['[2, 3]', '[4, 5]'] },
      {
        build: () => product.matmul(blank([2, 3]), blank([3, 4]), { transposeB: true }),
        naming: ['[2, 3]', '[3, 4]'],
      },
      {
        build: () => product.matmul(blank([2, 3]), blank([3, 4]), { transposeA: true }),
        naming: ['[2, 3]', '[3, 4]'],
      },
      { build: () => product.matmul(blank([2, 3, 4]), blank([3, 4, 5])), naming: ['[2, 3, 4]', '[3, 4, 5]'] },
      { build: () => product.matmul(blank([2, 3, 4]), blank([4, 5])), naming: ['[2, 3, 4]', '[4, 5]'] },
      { build: () => product.matmul(blank([2, 3]), blank([3])), naming: ['[2, 3]', '[3]'] },
      {
        build: () => product.matmul(blank([2, 3]), blank([3]), { transposeB: true }),
        naming: ['[2, 3]', '[3]'],
      },
      { build: () => product.matmul(blank([3]), blank([3])), naming: ['[3] and [3]'] },
      {
        build: () => product.matmul(blank([2, 2]), blank([2, 2], 'int32')),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
  affine: {
    cases: [
      [4, 3, 2],
      [1, 1, 1],
      [2, 5, 3],
    ].map(([rows, inputs, outputs]) => ({
      inputs: [floats([rows!, inputs!]), floats([outputs!, inputs!]), floats([outputs!])],
      graph: product.affine,
      reference: (x, weight, bias) => {
        const products = productOf(x, weight, false, true);
        return tabulate(products.shape, index => at(products, index) + at(bias, index));
      },
    })),
    refusals: [
      {
        build: () => product.affine(blank([4, 3]), blank([2, 5]), blank([2])),
        naming: ['[4, 3]', '[2, 5]'],
      },
      {
        build: () => product.affine(blank([4, 3]), blank([2, 3]), blank([3])),
        naming: ['[2, 3]', '[3]'],
      },
      {
        build: () => product.affine(blank([1, 4, 3]), blank([2, 3]), blank([2])),
        naming: ['[1, 4, 3]', '[2, 3]'],
      },
      {
        build: () => product.affine(blank([4, 3]), blank([2, 3]), blank([2], 'bool')),
        naming: ['bool'],
        error: TypeError,
      },
    ],
  },
});

describe('products with rows of 4 KiB', () => {
  // The processor gets them padded; their gradients are products of other shapes.
  for (const transposeB of sides)
    it(`equal the sum of their terms, ${transposeB ? 'A·Bᵀ' : 'A·B'}`, async () => {
      const { inputs, graph, reference } = multiplying([], false, transposeB, [65, 1024, 64]);
      const [a, b] = inputs.map(({ tensor }) => tensor) as [DoubleTensor, DoubleTensor];
      const engine = new OnnxRuntimeCpuEngine(1);
      const found = await runGraph(
        engine,
        { product: graph(Value.input('a', a.shape), Value.input('b', b.shape)) },
        { a: Float32Array.from(a.data), b: Float32Array.from(b.data) },
      );
      const expected = reference(a, b).data;
      found.product!.forEach((value, index) => {
        assert.ok(Math.abs(value - expected[index]!) < 1e-4, `element ${index}`);
      });
      await engine.dispose();
    });
});
