import assert from 'node:assert/strict';
import { AdamW } from '../../trainer/distill/adamW.ts';
import {
  type AdamWSettings,
  decaysWeight,
  learningRateAt,
  vitAdamW,
} from '../../trainer/distill/optimiser.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { type DeviceTensor, disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { type VisionArchitecture, visionTensorShapes } from '../../trainer/models/architecture.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { maxAbsDifference } from '../support/goldenTensors.ts';

describe('learning rate', () => {
  it('rises in equal steps, is above 0 at the first and at its peak at the last of the warm-up', () => {
    const rates = [0, 1, 2, 3].map(step => learningRateAt(step, 8, 4, 10));
    assert.deepEqual(rates, [2, 4, 6, 8]);
    assert.equal(learningRateAt(4, 8, 4, 10), 8);
  });

  it('falls along half a cosine that ends above 0', () => {
    const rates = Array.from({ length: 96 }, (_, index) => learningRateAt(4 + index, 8, 4, 100));
    assert.ok(rates.every((rate, index) => index === 0 || rate < rates[index - 1]!));
    assert.ok(Math.abs(rates[48]! - 4) < 1e-12, 'half the peak halfway');
    assert.ok(rates.at(-1)! > 0);
    assert.equal(rates.at(-1), 0.5 * (1 + Math.cos((Math.PI * 95) / 96)) * 8);
  });

  it('starts at its peak without a warm-up, and never reaches it in a run shorter than the warm-up', () => {
    assert.equal(learningRateAt(0, 1e-5, 0, 10), 1e-5);
    assert.equal(learningRateAt(0, 1e-5, 0, 1), 1e-5);
    assert.equal(learningRateAt(4, 1, 1000, 5), 5 / 1000);
    assert.equal(learningRateAt(3, 1, 4, 4), 1);
  });
});

describe('weight decay', () => {
  it('spares vectors, norms, biases and the temperature by name', () => {
    const block = 'visual.transformer.resblocks.0';
    const expected: [string, number[], boolean][] = [
      [`${block}.attn.in_proj_weight`, [48, 16], true],
      [`${block}.mlp.c_fc.weight`, [64, 16], true],
      ['visual.conv1.weight', [16, 3, 8, 8], true],
      ['visual.positional_embedding', [5, 16], true],
      ['visual.class_embedding', [16], false],
      [`${block}.attn.in_proj_bias`, [48], false],
      [`${block}.ln_1.weight`, [16], false],
      [`${block}.ln_1.weight`, [16, 16], false],
      [`${block}.rel_pos_bias`, [4, 4], false],
      ['stem.bn1.weight', [2, 2], false],
      ['logit_scale', [], false],
      ['logit_scale', [1, 1], false],
    ];
    for (const [name, shape, decays] of expected) assert.equal(decaysWeight(name, shape), decays, name);
  });
});

/** AdamW in double precision, as its paper writes it. */
class DoubleAdamW {
  readonly #settings: AdamWSettings;
  readonly #first: number[];
  readonly #second: number[];

  constructor(settings: AdamWSettings, size: number) {
    this.#settings = settings;
    this.#first = Array<number>(size).fill(0);
    this.#second = Array<number>(size).fill(0);
  }

  update(parameter: number[], gradient: ArrayLike<number>, step: number, rate: number, decay: number): void {
    const { beta1, beta2, epsilon } = this.#settings;
    for (let index = 0; index < parameter.length; index++) {
      const g = gradient[index]!;
      const m = beta1 * this.#first[index]! + (1 - beta1) * g;
      const v = beta2 * this.#second[index]! + (1 - beta2) * g * g;
      this.#first[index] = m;
      this.#second[index] = v;
      const corrected = m / (1 - beta1 ** step) / (Math.sqrt(v / (1 - beta2 ** step)) + epsilon);
      parameter[index] = parameter[index]! * (1 - rate * decay) - rate * corrected;
    }
  }
}

const shapes = new Map([
  ['mlp.weight', [4, 3]],
  ['mlp.bias', [4]],
  ['ln.weight', [5]],
]);
const sizeOfParameter = (name: string): number => shapes.get(name)!.reduce((a, b) => a * b);

const drawn = (key: string, size: number): Float32Array => {
  const random = keyedRandom(9, key);
  return Float32Array.from({ length: size }, () => random.float() * 2 - 1);
};

/** Gradients that differ in size by orders of magnitude, and vanish now and then. */
function gradientOf(name: string, step: number): Float32Array {
  const scales = [1, 1e-2, 1e-4, 0];
  return drawn(`${name} ${step}`, sizeOfParameter(name)).map((value, index) => value * scales[index % 4]!);
}

describe('AdamW', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  const programs = new ProgramCache(engine);
  after(async () => {
    await programs.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  const upload = (): Map<string, DeviceTensor> =>
    new Map(
      [...shapes].map(([name, shape]) => [name, engine.upload(shape, drawn(name, sizeOfParameter(name)))]),
    );

  async function step(optimiser: AdamW, number: number, rate: number): Promise<number> {
    optimiser.begin(number, rate);
    for (const [name, shape] of shapes)
      await optimiser.apply(name, engine.upload(shape, gradientOf(name, number)));
    return optimiser.end();
  }

  for (const weightDecay of [0.1, 0])
    it(`equals double precision over 50 steps, weight decay ${weightDecay}`, async () => {
      const settings = { ...vitAdamW, weightDecay };
      const parameters = upload();
      const optimiser = new AdamW(engine, programs, settings, parameters);
      const expected = new Map(
        [...shapes.keys()].map(name => [name, [...drawn(name, sizeOfParameter(name))]]),
      );
      const references = new Map(
        [...shapes.keys()].map(name => [name, new DoubleAdamW(settings, sizeOfParameter(name))]),
      );
      for (let number = 1; number <= 50; number++) {
        const rate = learningRateAt(number - 1, 1e-2, 10, 50);
        const norm = await step(optimiser, number, rate);
        let squared = 0;
        for (const [name, reference] of references) {
          const gradient = gradientOf(name, number);
          squared += gradient.reduce((sum, value) => sum + value * value, 0);
          const decay = name === 'mlp.weight' ? weightDecay : 0;
          reference.update(expected.get(name)!, gradient, number, rate, decay);
        }
        assert.ok(Math.abs(norm - Math.sqrt(squared)) < 1e-6, `gradient norm of step ${number}`);
      }
      for (const [name, tensor] of parameters) {
        const actual = await readFloats(engine, tensor);
        const difference = maxAbsDifference(actual, expected.get(name)!);
        assert.ok(difference <= 1e-6, `${name}: ${difference}`);
        const moved = maxAbsDifference(actual, drawn(name, actual.length));
        assert.ok(moved > 0.01, `${name} moved by ${moved}`);
      }
      optimiser.dispose();
      disposeAll(parameters.values());
    });

  for (const weightDecay of [0.1, 0])
    it(`updates parameters together to the same bits as one by one, weight decay ${weightDecay}`, async () => {
      const settings = { ...vitAdamW, weightDecay };
      const [single, together] = [upload(), upload()];
      const [one, other] = [single, together].map(
        parameters => new AdamW(engine, programs, settings, parameters),
      ) as [AdamW, AdamW];
      for (let number = 1; number <= 5; number++) {
        await step(one, number, 1e-2);
        other.begin(number, 1e-2);
        const gradients = [...shapes].map(
          ([name, shape]) => [name, engine.upload(shape, gradientOf(name, number))] as const,
        );
        await other.applyTogether(new Map(gradients));
        assert.equal(await other.end(), 0);
      }
      for (const name of shapes.keys()) {
        assert.deepEqual(await engine.read(together.get(name)!), await engine.read(single.get(name)!));
        assert.deepEqual(await other.readMoments(name), await one.readMoments(name));
      }
      one.dispose();
      other.dispose();
      disposeAll([...single.values(), ...together.values()]);
    });

  it('goes on with the same bits from saved moments', async () => {
    const settings = { ...vitAdamW, weightDecay: 0.1 };
    const [whole, interrupted] = [upload(), upload()];
    const optimiser = new AdamW(engine, programs, settings, whole);
    const before = new AdamW(engine, programs, settings, interrupted);
    for (const number of [1, 2]) {
      await step(optimiser, number, 1e-3);
      await step(before, number, 1e-3);
    }
    const resumed = new AdamW(engine, programs, settings, interrupted);
    for (const name of shapes.keys()) resumed.restoreMoments(name, (await before.readMoments(name))!);
    before.dispose();
    await step(optimiser, 3, 1e-3);
    await step(resumed, 3, 1e-3);
    for (const name of shapes.keys()) {
      const [expected, actual] = [whole, interrupted].map(parameters => parameters.get(name)!);
      assert.deepEqual(await engine.read(actual!), await engine.read(expected!));
      assert.deepEqual(await resumed.readMoments(name), await optimiser.readMoments(name));
    }
    optimiser.dispose();
    resumed.dispose();
    disposeAll([...whole.values(), ...interrupted.values()]);
  });

  it('has no moments of what was never updated, and refuses what it does not know', async () => {
    const parameters = upload();
    const optimiser = new AdamW(engine, programs, { ...vitAdamW, weightDecay: 0 }, parameters);
    assert.equal(await optimiser.readMoments('mlp.weight'), null);
    optimiser.begin(1, 1e-3);
    const gradient = engine.upload([1], new Float32Array(1));
    await assert.rejects(optimiser.apply('absent', gradient), /no parameter 'absent'/);
    gradient.dispose();
    optimiser.dispose();
    disposeAll(parameters.values());
  });
});

describe('trainable parameters', () => {
  const architecture: VisionArchitecture = {
    kind: 'openclip',
    name: null,
    imageSize: 16,
    patchSize: 8,
    width: 16,
    layers: 3,
    heads: 2,
    mlpWidth: 64,
    embeddingDimension: 8,
    activation: 'gelu',
    text: { kind: 'none' },
  };
  const names = [...visionTensorShapes(architecture).keys(), 'logit_scale', 'positional_embedding'];
  const unlocked = (groups: number): string[] => trainableNames(architecture, names, groups);
  const blocks = (from: number): string[] =>
    names.filter(name => Number(/resblocks\.(\d+)\./.exec(name)?.[1] ?? -1) >= from);

  it('are the last blocks first', () => {
    assert.deepEqual(unlocked(1), blocks(2));
    assert.equal(unlocked(1).length, 12);
    assert.deepEqual(unlocked(2), blocks(1));
    assert.deepEqual(unlocked(3), blocks(0));
  });

  it('are then the position embedding and the stem', () => {
    assert.deepEqual(new Set(unlocked(4)), new Set([...blocks(0), 'visual.positional_embedding']));
    const stem = ['conv1.weight', 'class_embedding', 'ln_pre.weight', 'ln_pre.bias'];
    const all = new Set([...unlocked(4), ...stem.map(name => `visual.${name}`)]);
    assert.deepEqual(new Set(unlocked(5)), all);
    assert.deepEqual(new Set(unlocked(100)), all);
  });

  it('are none when nothing is unlocked, and never the head or the text tower', () => {
    assert.deepEqual(unlocked(0), []);
    assert.deepEqual(unlocked(-1), []);
    for (const name of ['visual.ln_post.weight', 'visual.proj', 'logit_scale', 'positional_embedding'])
      assert.ok(!unlocked(100).includes(name), name);
  });
});
