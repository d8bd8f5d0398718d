import assert from 'node:assert/strict';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { affine } from '../../trainer/graph/operations/product.ts';
import { byRows, pieceLength } from '../../trainer/graph/pieces.ts';
import { topologicalOrder, Value } from '../../trainer/graph/value.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { runGraph } from '../support/runGraph.ts';

const mebibyte = 2 ** 20;
const x = Value.input('x', [40, 3]);
const [weight, bias] = [Value.input('weight', [5, 3]), Value.input('bias', [5])];
const layer = (rows: Value): Value => affine(rows, weight, bias);
const rowsOfLayers = (result: Value): number[] =>
  topologicalOrder([result])
    .filter(({ operation }) => operation?.name === 'affine')
    .map(({ shape }) => shape[0]!);

describe('the length of pieces', () => {
  it('is as much as fits into the bytes, one part at least', () => {
    assert.equal(pieceLength(4 * 4097, 8 * mebibyte), 511);
    assert.equal(pieceLength(5, 25), 5);
    assert.equal(pieceLength(50, 25), 1);
  });
});

describe('a layer by rows', () => {
  it('goes a few rows at a time where its hidden numbers are many, the last ones too', () => {
    assert.deepEqual(rowsOfLayers(byRows(x, mebibyte, 12 * mebibyte, layer)), [12, 12, 12, 4]);
    assert.deepEqual(rowsOfLayers(byRows(x, 50 * mebibyte, 12 * mebibyte, layer)), Array(40).fill(1));
  });

  it('goes as a whole where they are few, or the engine asks for no pieces', () => {
    assert.deepEqual(rowsOfLayers(byRows(x, mebibyte / 2, 12 * mebibyte, layer)), [40]);
    assert.deepEqual(rowsOfLayers(byRows(x, mebibyte, undefined, layer)), [40]);
  });

  it('gives the same numbers', async () => {
    const outputs = { pieces: byRows(x, mebibyte, 12 * mebibyte, layer), whole: layer(x) };
    const uniform = (name: string, length: number): Float32Array => {
      const random = keyedRandom(3, name);
      return Float32Array.from({ length }, () => random.float() - 0.5);
    };
    const feeds = { x: uniform('x', 120), weight: uniform('weight', 15), bias: uniform('bias', 5) };
    const engine = new OnnxRuntimeCpuEngine(1);
    const { pieces, whole } = await runGraph(engine, outputs, feeds);
    await engine.dispose();
    assert.equal(pieces!.length, 200);
    pieces!.forEach((number, at) => {
      assert.ok(Math.abs(number - whole![at]!) < 1e-6, `number ${at}: ${number}, expected ${whole![at]}`);
    });
  });
});
