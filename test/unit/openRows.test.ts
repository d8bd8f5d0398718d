import assert from 'node:assert/strict';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { rowsCanOpen } from '../../trainer/graph/openRows.ts';
import { quickGelu } from '../../trainer/graph/operations/activation.ts';
import { add } from '../../trainer/graph/operations/arithmetic.ts';
import { concat, reshape, slice, transpose } from '../../trainer/graph/operations/layout.ts';
import { multiHeadAttention } from '../../trainer/graph/operations/multiHeadAttention.ts';
import { layerNorm } from '../../trainer/graph/operations/normalisation.ts';
import { affine, matmul } from '../../trainer/graph/operations/product.ts';
import { sum } from '../../trainer/graph/operations/reduction.ts';
import { turnPairs } from '../../trainer/graph/operations/turnPairs.ts';
import { Value } from '../../trainer/graph/value.ts';
import { keyedRandom } from '../../trainer/random.ts';

const x = Value.input('x', [3, 4]);
const weight = Value.input('weight', [4, 4]);
const bias = Value.input('bias', [4]);

describe('graphs of any number of images', () => {
  const attended = (): Value => {
    const tokens = reshape(affine(layerNorm(x, bias, bias, 1e-5), weight, bias), [1, 3, 4]);
    return reshape(multiHeadAttention(tokens, tokens, tokens, 2), [3, 4]);
  };

  it('are those whose rows never meet those of another image', () => {
    for (const output of [
      attended(),
      add(x, quickGelu(attended())),
      add(reshape(x, [1, 3, 4]), Value.input('table', [3, 4])),
      reshape(slice(reshape(x, [1, 3, 4]), 1, 0, 1), [1, 4]),
      transpose(reshape(x, [1, 3, 2, 2]), [0, 2, 1, 3]),
      turnPairs(reshape(x, [1, 3, 4]), Value.input('cosine', [3, 2]), Value.input('sine', [3, 2])),
    ])
      assert.ok(rowsCanOpen(output, 'x'));
  });

  it('are none where rows are cut, joined, turned, summed up or multiplied with one another', () => {
    for (const output of [
      slice(x, 0, 0, 1),
      concat([x, x], 0),
      transpose(x, [1, 0]),
      sum(x, [0]),
      matmul(weight, x, { transposeB: true }),
      matmul(x, x, { transposeA: true }),
      matmul(x, Value.input('other', [3, 2]), { transposeA: true }),
      add(x, Value.input('table', [3, 4])),
      concat([x, Value.input('class', [3, 1])], 1),
      turnPairs(reshape(weight, [1, 4, 4]), reshape(slice(x, 0, 0, 2), [4, 2]), Value.input('sine', [4, 2])),
      weight,
    ])
      assert.ok(!rowsCanOpen(output, 'x'));
  });
});

describe('programs with numbers of their own', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  const random = (size: number): Float32Array => {
    const source = keyedRandom(5, 'open rows', size);
    return Float32Array.from({ length: size }, () => source.float() - 0.5);
  };
  /** 1024 channels: rows that are filled up on a processor. */
  const [rows, width] = [70, 1024];
  const wide = Value.input('x', [rows, width]);
  const output = affine(wide, Value.input('weight', [64, width]), Value.input('bias', [64]));
  const numbers = { weight: random(64 * width), bias: random(64) };
  const images = random(3 * rows * width);

  after(() => engine.dispose());

  async function frozen(openInput: string | null) {
    const weight = engine.upload([64, width], numbers.weight);
    const bias = engine.upload([64], numbers.bias);
    const program = await engine.compileFrozen({ output }, { weight, bias }, openInput);
    weight.dispose();
    bias.dispose();
    return program;
  }

  /** The product of one image by a program that is fed everything. */
  async function expected(image: number): Promise<Float32Array> {
    const program = await engine.compile({ output });
    const feeds = {
      x: engine.upload([rows, width], images.subarray(image * rows * width, (image + 1) * rows * width)),
      weight: engine.upload([64, width], numbers.weight),
      bias: engine.upload([64], numbers.bias),
    };
    return (await engine.read((await program.run(feeds)).output!)) as Float32Array;
  }

  it('have copies of them, and ask for the rest', async () => {
    const program = await frozen(null);
    assert.deepEqual(Object.keys(program.inputs), ['x']);
    const x = engine.upload([rows, width], images.subarray(0, rows * width));
    const result = await engine.read((await program.run({ x })).output!);
    const plain = await expected(0);
    result.forEach((value, index) => {
      assert.ok(Math.abs(value - plain[index]!) <= 2e-5, `${index}: ${value}, ${plain[index]}`);
    });
  });

  it('take any number of images where they are open, and refuse a part of one', async () => {
    const program = await frozen('x');
    for (const count of [3, 1, 2]) {
      const x = engine.upload([count * rows, width], images.subarray(0, count * rows * width));
      const { output: found } = await program.run({ x });
      assert.deepEqual(found!.shape, [count * rows, 64]);
      const result = await engine.read(found!);
      for (let image = 0; image < count; image++) {
        const plain = await expected(image);
        plain.forEach((value, index) => {
          assert.ok(Math.abs(value - result[image * plain.length + index]!) <= 2e-5);
        });
      }
    }
    const part = engine.upload([rows + 1, width], images.subarray(0, (rows + 1) * width));
    await assert.rejects(
      program.run({ x: part }),
      /'x' takes float32 \[70, 1024\], got float32 \[71, 1024\]/,
    );
  });

  it('refuse numbers that do not fit', async () => {
    const bias = engine.upload([63], random(63));
    await assert.rejects(
      engine.compileFrozen({ output }, { bias }, null),
      /'bias' takes float32 \[64\], got float32 \[63\]/,
    );
  });
});
