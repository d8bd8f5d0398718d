import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { HostData } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { lossGradients } from '../../trainer/graph/gradients.ts';
import { sizeOf } from '../../trainer/graph/shape.ts';
import { gradientName } from '../../trainer/graph/split.ts';
import { Value } from '../../trainer/graph/value.ts';
import { causalInput, causalMask, endsInput } from '../../trainer/models/textStages.ts';
import { contrastiveLoss, logitScaleName } from '../../trainer/pretrain/contrastiveLoss.ts';
import {
  type DualEncoder,
  dualEncoderLoss,
  gradNormOutput,
  idsInput,
  lossOutput,
  pixelsInput,
  trainingGraph,
} from '../../trainer/pretrain/dualEncoder.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { centralDifferences, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { runGraph } from '../support/runGraph.ts';

/** The loss in double precision, straight from its definition. */
function lossOf(image: DoubleTensor, text: DoubleTensor, logitScale: number): number {
  const [count, width] = image.shape as [number, number];
  const unit = ({ data }: DoubleTensor, row: number): number[] => {
    const values = [...data.subarray(row * width, (row + 1) * width)];
    const norm = Math.hypot(...values);
    return values.map(value => value / norm);
  };
  const logits = Array.from({ length: count }, (_, i) =>
    Array.from({ length: count }, (_, j) => {
      const [a, b] = [unit(image, i), unit(text, j)];
      return Math.exp(logitScale) * a.reduce((sum, value, index) => sum + value * b[index]!, 0);
    }),
  );
  const missed = (row: readonly number[], own: number): number => {
    const most = Math.max(...row);
    return most + Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0)) - row[own]!;
  };
  let sum = 0;
  for (let own = 0; own < count; own++)
    sum +=
      missed(logits[own]!, own) +
      missed(
        logits.map(row => row[own]!),
        own,
      );
  return sum / (2 * count);
}

const random = keyedRandom(3, 'contrastive loss');
const draw = (shape: readonly number[], spread = 1): DoubleTensor =>
  tabulate(shape, () => Math.fround(spread * (2 * random.float() - 1)));

describe('contrastive loss', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  after(() => engine.dispose());

  const run = async (image: DoubleTensor, text: DoubleTensor, logitScale: number) => {
    const inputs = [
      Value.input('image', image.shape),
      Value.input('text', text.shape),
      Value.input('scale', []),
    ];
    const loss = contrastiveLoss(inputs[0]!, inputs[1]!, inputs[2]!);
    const [ofImage, ofText, ofScale] = lossGradients(loss, inputs);
    return runGraph(
      engine,
      { loss, image: ofImage!, text: ofText!, scale: ofScale! },
      {
        image: Float32Array.from(image.data),
        text: Float32Array.from(text.data),
        scale: Float32Array.of(logitScale),
      },
    );
  };

  const close = (actual: HostData, expected: ArrayLike<number>, tolerance: number, what: string): void => {
    assert.equal(actual.length, expected.length);
    for (let index = 0; index < actual.length; index++) {
      const difference = Math.abs(actual[index]! - expected[index]!);
      assert.ok(difference <= tolerance, `${what}[${index}]: ${actual[index]}, not ${expected[index]}`);
    }
  };

  it('and its gradients agree with the definition in double precision and its differences', async () => {
    const [image, text] = [draw([5, 4], 2), draw([5, 4], 2)];
    const scale = Math.fround(2.1);
    const found = await run(image, text, scale);
    close(found.loss!, [lossOf(image, text, scale)], 2e-6, 'loss');
    const byImage = centralDifferences(image, changed => lossOf(changed, text, scale));
    const byText = centralDifferences(text, changed => lossOf(image, changed, scale));
    const byScale = (lossOf(image, text, scale + 1e-5) - lossOf(image, text, scale - 1e-5)) / 2e-5;
    close(found.image!, byImage.data, 1e-5, 'gradient of images');
    close(found.text!, byText.data, 1e-5, 'gradient of texts');
    close(found.scale!, [byScale], 1e-5, 'gradient of the scale');
  });

  it('stays finite and right where shares underflow', async () => {
    const image: DoubleTensor = { shape: [2, 2], data: Float64Array.of(1, 0, -1, 0) };
    const text: DoubleTensor = { shape: [2, 2], data: Float64Array.of(-1, 0, 1, 0) };
    const found = await run(image, text, Math.log(100));
    // Every image is opposite to its text: 100 − (−100).
    close(found.loss!, [200], 1e-3, 'loss');
    for (const name of ['image', 'text', 'scale']) assert.ok(found[name]!.every(Number.isFinite), name);
    assert.ok(Math.abs(found.scale![0]! - 200) < 1e-2);
  });

  it('gives the numbers of PyTorch', async () => {
    const golden = JSON.parse(await readFile('test/fixtures/contrastive/golden.json', 'utf8'));
    for (const { image, text, logitScale, loss, gradients } of golden.cases) {
      const tensor = (rows: number[][]): DoubleTensor => ({
        shape: [rows.length, rows[0]!.length],
        data: Float64Array.from(rows.flat()),
      });
      const found = await run(tensor(image), tensor(text), logitScale);
      const tolerance = Math.max(1e-6, 4 * golden.f32_vs_f64_max_abs);
      close(found.loss!, [loss], tolerance, 'loss');
      close(found.image!, gradients.image.flat(), tolerance, 'gradient of images');
      close(found.text!, gradients.text.flat(), tolerance, 'gradient of texts');
      close(found.scale!, [gradients.logitScale], tolerance, 'gradient of the scale');
    }
  });
});

const tiny: DualEncoder = {
  image: {
    kind: 'openclip',
    name: null,
    ...{ imageSize: 8, patchSize: 4, width: 8, layers: 2, heads: 2, mlpWidth: 16, embeddingDimension: 6 },
    activation: 'gelu',
    text: { kind: 'none' },
  },
  text: {
    architecture: {
      ...{ kind: 'clip', contextLength: 5, vocabularySize: 9, width: 8, heads: 2, layers: 1 },
      ...{ mlpWidth: 16, endOfText: null },
    },
    prefix: '',
    activation: 'gelu',
    embeddingDimension: 6,
  },
};

describe('the graph of a pre-training step', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  after(() => engine.dispose());
  const batch = 3;
  const { loss, parameters } = dualEncoderLoss(tiny, batch);
  const feeds: Record<string, HostData> = {
    [pixelsInput]: Float32Array.from(draw([batch, 3, 8, 8]).data),
    [idsInput]: Int32Array.of(7, 1, 8, 0, 0, 7, 2, 3, 8, 0, 7, 4, 5, 6, 8),
    [causalInput]: causalMask(5),
    [endsInput]: Int32Array.of(2, 8, 14),
    [logitScaleName]: Float32Array.of(1.5),
  };
  for (const [name, { shape }] of parameters)
    if (name !== logitScaleName) feeds[name] = Float32Array.from(draw(shape, 0.8).data);
  const lossAt = async (changed: Record<string, HostData>): Promise<number> =>
    (await runGraph(engine, { loss }, { ...feeds, ...changed })).loss![0]!;

  it('has gradients of every parameter of both towers that agree with differences', async () => {
    assert.equal(parameters.size, 3 + 2 + 2 + 1 + 2 * 12 + 2 + 12 + 2 + 1 + 1);
    const gradients = await runGraph(engine, trainingGraph(tiny, batch, 1e9), feeds);
    assert.ok(Math.abs(gradients[lossOutput]![0]! - (await lossAt({}))) < 1e-6);
    const step = 4e-3;
    for (const [name, { shape }] of parameters) {
      const own = feeds[name]!;
      const direction = draw(shape, 1 / Math.sqrt(sizeOf(shape))).data;
      const moved = (sign: number) =>
        Float32Array.from(own, (value, at) => value + sign * step * direction[at]!);
      const [above, below] = [await lossAt({ [name]: moved(1) }), await lossAt({ [name]: moved(-1) })];
      const difference = (above - below) / (2 * step);
      const slope = direction.reduce(
        (sum, value, at) => sum + value * gradients[gradientName(name)]![at]!,
        0,
      );
      assert.ok(
        Math.abs(difference - slope) < 1e-3 * (1 + Math.abs(slope)),
        `${name}: ${slope}, ${difference}`,
      );
    }
  });

  it('scales gradients down to the highest norm, and leaves smaller ones alone', async () => {
    const free = await runGraph(engine, trainingGraph(tiny, batch, 1e9), feeds);
    const norm = free[gradNormOutput]![0]!;
    const names = [...parameters.keys()].map(gradientName);
    const square = (results: Record<string, HostData>): number =>
      names.reduce(
        (sum, name) => sum + [...results[name]!].reduce((part, value) => part + value * value, 0),
        0,
      );
    assert.ok(Math.abs(Math.sqrt(square(free)) - norm) < 1e-4 * norm);
    const clipped = await runGraph(engine, trainingGraph(tiny, batch, norm / 4), feeds);
    assert.ok(Math.abs(clipped[gradNormOutput]![0]! - norm) < 1e-5 * norm);
    assert.ok(Math.abs(Math.sqrt(square(clipped)) - norm / 4) < 1e-4 * norm);
  });
});
