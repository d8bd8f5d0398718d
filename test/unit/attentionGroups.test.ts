import assert from 'node:assert/strict';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { gradients } from '../../trainer/graph/gradients.ts';
import { multiHeadAttention } from '../../trainer/graph/operations/multiHeadAttention.ts';
import { inputsOf, type Outputs } from '../../trainer/graph/split.ts';
import { topologicalOrder, Value } from '../../trainer/graph/value.ts';
import type { ClipVitArchitecture, Eva02Architecture } from '../../trainer/models/architecture.ts';
import { attention } from '../../trainer/models/attention.ts';
import { evaAttentionBlock, evaSelfLikenessBlock } from '../../trainer/models/evaBlock.ts';
import { maskAttentionBlock } from '../../trainer/models/maskAttention.ts';
import { selfLikenessBlock } from '../../trainer/models/residualBlock.ts';
import type { ImageBatch } from '../../trainer/models/visionStage.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { runGraph } from '../support/runGraph.ts';

const names = ['query', 'key', 'value'] as const;
type Name = (typeof names)[number];
type Three = [query: Value, key: Value, value: Value];

/** From −2 to 2. */
function numbers(name: string, length: number): Float32Array {
  const random = keyedRandom(7, name);
  return Float32Array.from({ length }, () => random.float() * 4 - 2);
}

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

  it('is one operation on a processor, and gives what each query gets', async () => {
    const inputs = Object.fromEntries(names.map(name => [name, numbers(name, 4097 * 6)]));
    const [query, key, value] = names.map(name => Value.input(name, [1, 4097, 6])) as Three;
    const engine = new OnnxRuntimeCpuEngine(1);
    const results = await runGraph(engine, { all: multiHeadAttention(query, key, value, 3) }, inputs);
    await engine.dispose();
    for (const token of [0, 511, 512, 4096]) {
      const expected = attentionOf(token, 2, inputs as Record<Name, Float32Array>);
      const got = results.all!.subarray(6 * token + 4, 6 * token + 6);
      expected.forEach((number, channel) => {
        assert.ok(Math.abs(number - got[channel]!) < 1e-5, `query ${token}: ${got}, expected ${expected}`);
      });
    }
  });
});

describe('blocks of a large image on a processor', () => {
  /** Of four heads, 1522 tokens have more than 32 MiB of attention weights. */
  const shared: Omit<ClipVitArchitecture, 'kind'> = {
    name: null,
    imageSize: 624,
    patchSize: 16,
    width: 16,
    layers: 2,
    heads: 4,
    mlpWidth: 16,
    embeddingDimension: 8,
    activation: 'quickGelu',
    text: { kind: 'none' },
  };
  const openai: ClipVitArchitecture = { ...shared, kind: 'openai' };
  const eva: Eva02Architecture = { ...shared, kind: 'eva02', rotaryGrid: 14 };
  const grid = { batch: 1, height: 624, width: 624, rows: 39, columns: 39 };
  const blocks: Record<string, (batch: ImageBatch) => Outputs> = {
    'q–q attention': batch => ({ output: selfLikenessBlock(openai, batch, 0, 'query').output }),
    'v–v attention': batch => ({ output: selfLikenessBlock(openai, batch, 0, 'value').output }),
    'k–k attention of EVA-02': batch => ({ output: evaSelfLikenessBlock(eva, batch, 0, 'key').output }),
    'attention of EVA-02': batch => ({ output: evaAttentionBlock(eva, batch, 0).output }),
    'mask attention': batch => maskAttentionBlock(openai, batch, 0, 3).outputs,
  };
  for (const [name, outputsOf] of Object.entries(blocks))
    it(`give by one operation what they give head by head: ${name}`, async () => {
      const [whole, byHead] = [outputsOf({ ...grid, attentionPieceBytes: 2 ** 23 }), outputsOf(grid)];
      const operations = (outputs: Outputs): (string | undefined)[] =>
        topologicalOrder(Object.values(outputs)).map(({ operation }) => operation?.name);
      assert.ok(operations(whole).includes('multiHeadAttention'));
      assert.ok(!operations(byHead).includes('multiHeadAttention'));
      const feeds = Object.fromEntries(
        inputsOf(Object.values(byHead)).map(({ name, size, dtype }) => [
          name!,
          dtype === 'bool'
            ? Uint8Array.from({ length: size }, (_, at) => +(at % 3 > 0))
            : numbers(name!, size),
        ]),
      );
      const engine = new OnnxRuntimeCpuEngine(1);
      const [got, expected] = [await runGraph(engine, whole, feeds), await runGraph(engine, byHead, feeds)];
      await engine.dispose();
      for (const [output, values] of Object.entries(expected) as [string, Float32Array][]) {
        const largest = values.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
        const difference = values.reduce(
          (most, number, at) => Math.max(most, Math.abs(number - (got[output]![at] as number))),
          0,
        );
        assert.ok(difference < 2e-6 * largest, `${output}: ${difference} of ${largest}`);
      }
    });
});

describe('the gradient of attention in pieces', () => {
  /** Two heads whose weights are many for a whole, too many for a head, or neither, and what is made at a time. */
  const plans = [
    { tokens: 2100, heads: 2, pieceBytes: 2 ** 24, shapes: Array(2).fill([1, 1, 2100, 2100]) },
    { tokens: 1500, heads: 4, pieceBytes: 2 ** 25, shapes: [3, 1].map(n => [1, n, 1500, 1500]) },
    {
      tokens: 2900,
      heads: 2,
      pieceBytes: 2 ** 24,
      shapes: [1446, 1446, 8, 1446, 1446, 8].map(n => [1, 1, n, 2900]),
    },
    { tokens: 300, heads: 2, pieceBytes: 2 ** 10, shapes: [[1, 2, 300, 300]] },
  ];
  for (const { tokens, heads, pieceBytes, shapes } of plans)
    it(`is that of its formula: ${heads} heads of ${tokens} tokens`, async () => {
      const shape = [1, tokens, 2 * heads];
      const inputs = names.map(name => Value.input(name, shape)) as Three;
      const upstream = Value.input('upstream', shape);
      const pieces = gradients([multiHeadAttention(...inputs, heads, pieceBytes)], [upstream], inputs);
      const made = topologicalOrder(pieces as Value[]).filter(
        ({ operation }) => operation?.name === 'softmax',
      );
      assert.deepEqual(
        made.map(value => value.shape),
        shapes,
      );
      const outputs = Object.fromEntries(names.map((name, index) => [name, pieces[index]!]));
      const feeds = Object.fromEntries(
        [...names, 'upstream'].map(name => [name, numbers(name, tokens * heads * 2)]),
      ) as Record<Name | 'upstream', Float32Array>;
      const engine = new OnnxRuntimeCpuEngine(1);
      const results = await runGraph(engine, outputs, feeds);
      await engine.dispose();
      const expected = attentionGradients(feeds, heads);
      for (const name of names) {
        const got = results[name] as Float32Array;
        const largest = expected[name].reduce((most, number) => Math.max(most, Math.abs(number)), 0);
        const difference = expected[name].reduce(
          (most, number, at) => Math.max(most, Math.abs(number - got[at]!)),
          0,
        );
        assert.ok(largest > 0.01 && difference < 1e-6, `${name}: ${difference} of ${largest}`);
      }
    });
});

/** The attention weights that a graph makes. */
const weightsOf = (result: Value): Value[] =>
  topologicalOrder([result]).filter(({ operation }) => operation?.name === 'attention weights by likeness');

/** What one query of a head of two channels gets, of tokens `[4097, 6]`, in double precision. */
function attentionOf(
  token: number,
  head: number,
  { query, key, value }: Record<Name, Float32Array>,
): number[] {
  const at = (tensor: Float32Array, row: number, channel: number): number =>
    tensor[row * 6 + head * 2 + channel]!;
  const weights = Array.from({ length: 4097 }, (_, row) => {
    const product = at(query, token, 0) * at(key, row, 0) + at(query, token, 1) * at(key, row, 1);
    return Math.exp(product / Math.SQRT2);
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return [0, 1].map(
    channel => weights.reduce((sum, weight, row) => sum + weight * at(value, row, channel), 0) / total,
  );
}

/** Gradients of attention among tokens `[tokens, heads · 2]` in double precision. */
function attentionGradients(
  { query, key, value, upstream }: Record<Name | 'upstream', Float32Array>,
  heads: number,
): Record<Name, Float64Array> {
  const width = 2 * heads;
  const tokens = query.length / width;
  const found = { query: new Float64Array(query.length), key: new Float64Array(query.length) };
  const ofValue = new Float64Array(query.length);
  const product = (a: Float32Array, i: number, b: Float32Array, j: number): number =>
    a[i]! * b[j]! + a[i + 1]! * b[j + 1]!;
  for (let head = 0; head < heads; head++)
    for (let row = 0; row < tokens; row++) {
      const at = row * width + 2 * head;
      const places = Array.from({ length: tokens }, (_, other) => other * width + 2 * head);
      const weights = places.map(place => Math.exp(product(query, at, key, place) / Math.SQRT2));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const ofWeights = places.map(place => product(upstream, at, value, place));
      const mean = weights.reduce((sum, weight, other) => sum + weight * ofWeights[other]!, 0) / total;
      for (const [other, place] of places.entries()) {
        const weight = weights[other]! / total;
        const ofScore = (weight * (ofWeights[other]! - mean)) / Math.SQRT2;
        for (const channel of [0, 1]) {
          found.query[at + channel]! += ofScore * key[place + channel]!;
          found.key[place + channel]! += ofScore * query[at + channel]!;
          ofValue[place + channel]! += weight * upstream[at + channel]!;
        }
      }
    }
  return { ...found, value: ofValue };
}
