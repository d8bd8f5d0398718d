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
  idsInput,
  packsOf,
  pixelsInput,
  reportOutput,
  trainingGraph,
} from '../../trainer/pretrain/dualEncoder.ts';
import { packNumbers, unpackNumbers } from '../../trainer/pretrain/packedParameters.ts';
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

  const run = async (image: DoubleTensor, text: DoubleTensor, logitScale: number, groups = 1) => {
    const inputs = [
      Value.input('image', image.shape),
      Value.input('text', text.shape),
      Value.input('scale', []),
    ];
    const loss = contrastiveLoss(inputs[0]!, inputs[1]!, inputs[2]!, groups);
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

  it('of several groups is the mean of theirs, and so are its gradients', async () => {
    const [image, text] = [draw([6, 4], 2), draw([6, 4], 2)];
    const scale = Math.fround(1.7);
    const part = ({ data }: DoubleTensor, group: number): DoubleTensor => ({
      shape: [3, 4],
      data: data.slice(group * 12, (group + 1) * 12),
    });
    const whole = await run(image, text, scale, 2);
    const parts = [0, 1].map(group => lossOf(part(image, group), part(text, group), scale));
    close(whole.loss!, [(parts[0]! + parts[1]!) / 2], 2e-6, 'loss');
    for (const group of [0, 1]) {
      const own = await run(part(image, group), part(text, group), scale);
      const ofGroup = whole.image!.slice(group * 12, (group + 1) * 12);
      close(
        ofGroup,
        Float32Array.from(own.image!, value => value / 2),
        1e-6,
        'gradient of images',
      );
    }
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
  const step = { batch: 3, groups: 2 };
  const pairs = 6;
  const { loss, parameters } = dualEncoderLoss(tiny, step);
  const packs = packsOf(tiny);
  const texts = [7, 1, 8, 0, 0, 7, 2, 3, 8, 0, 7, 4, 5, 6, 8];
  const inputs: Record<string, HostData> = {
    [pixelsInput]: Float32Array.from(draw([pairs, 3, 8, 8]).data),
    [idsInput]: Int32Array.of(...texts, ...texts),
    [causalInput]: causalMask(5),
    [endsInput]: Int32Array.of(2, 8, 14, 17, 23, 29),
  };
  const weights = new Map<string, Float32Array>();
  for (const [name, { shape }] of parameters)
    weights.set(
      name,
      name === logitScaleName ? Float32Array.of(1.5) : Float32Array.from(draw(shape, 0.8).data),
    );

  const lossAt = async (changed: Record<string, HostData>): Promise<number> =>
    (await runGraph(engine, { loss }, { ...inputs, ...Object.fromEntries(weights), ...changed })).loss![0]!;
  /** Loss, norm and gradients by checkpoint name. */
  const train = async (clip: number) => {
    const packed = packs.map(pack => [pack.name, packNumbers(pack, name => weights.get(name)!)] as const);
    const results = await runGraph(engine, trainingGraph(tiny, step, clip), {
      ...inputs,
      ...Object.fromEntries(packed),
    });
    const gradients = packs.flatMap(pack =>
      unpackNumbers(pack, results[gradientName(pack.name)] as Float32Array),
    );
    const [ownLoss, norm] = results[reportOutput] as unknown as [number, number];
    const byName = new Map(gradients.map(([name, { data }]) => [name, data as Float32Array]));
    return { loss: ownLoss, norm, gradients: byName };
  };

  it('has gradients of every parameter of both towers that agree with differences', async () => {
    assert.equal(parameters.size, 3 + 2 + 2 + 1 + 2 * 12 + 2 + 12 + 2 + 1 + 1);
    assert.deepEqual(
      packs.map(({ name }) => name),
      ['matrices', 'vectors', logitScaleName],
    );
    const trained = await train(1e9);
    assert.deepEqual([...trained.gradients.keys()].sort(), [...parameters.keys()].sort());
    assert.ok(Math.abs(trained.loss - (await lossAt({}))) < 1e-6);
    const length = 4e-3;
    for (const [name, { shape }] of parameters) {
      const own = weights.get(name)!;
      const direction = draw(shape, 1 / Math.sqrt(sizeOf(shape))).data;
      const moved = (sign: number) =>
        Float32Array.from(own, (value, at) => value + sign * length * direction[at]!);
      const [above, below] = [await lossAt({ [name]: moved(1) }), await lossAt({ [name]: moved(-1) })];
      const difference = (above - below) / (2 * length);
      const gradient = trained.gradients.get(name)!;
      const slope = direction.reduce((sum, value, at) => sum + value * gradient[at]!, 0);
      assert.ok(
        Math.abs(difference - slope) < 1e-3 * (1 + Math.abs(slope)),
        `${name}: ${slope}, ${difference}`,
      );
    }
  });

  it('scales gradients down to the highest norm, and leaves smaller ones alone', async () => {
    const length = ({ gradients }: Awaited<ReturnType<typeof train>>): number =>
      Math.hypot(...[...gradients.values()].flatMap(gradient => [...gradient]));
    const free = await train(1e9);
    assert.ok(Math.abs(length(free) - free.norm) < 1e-4 * free.norm);
    const clipped = await train(free.norm / 4);
    assert.ok(Math.abs(clipped.norm - free.norm) < 1e-5 * free.norm);
    assert.ok(Math.abs(length(clipped) - free.norm / 4) < 1e-4 * free.norm);
  });
});
