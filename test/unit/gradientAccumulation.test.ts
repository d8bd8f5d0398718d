import assert from 'node:assert/strict';
import { Distiller, type DistillerSettings } from '../../trainer/distill/distiller.ts';
import { vitAdamW } from '../../trainer/distill/optimiser.ts';
import type { DistillationBatch } from '../../trainer/distill/regionLoss.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { type DeviceTensor, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { sizeOf } from '../../trainer/graph/shape.ts';
import { type VisionArchitecture, visionTensorShapes } from '../../trainer/models/architecture.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { maxAbsDifference } from '../support/goldenTensors.ts';

const architecture: VisionArchitecture = {
  kind: 'openclip',
  name: null,
  imageSize: 16,
  patchSize: 8,
  width: 16,
  layers: 2,
  heads: 2,
  mlpWidth: 64,
  embeddingDimension: 8,
  activation: 'gelu',
  text: { kind: 'none' },
};
const [size, maxBoxes] = [32, 4] as const;

const uniform = (key: string, length: number, spread = 1): Float32Array => {
  const random = keyedRandom(9, key);
  return Float32Array.from({ length }, () => (random.float() * 2 - 1) * spread);
};

/** Four images with 3, 1, 4 and 2 boxes at `side` pixels. */
function batchAt(side: number): DistillationBatch {
  const tokens = (side / architecture.patchSize) ** 2;
  const boxCounts = [3, 1, 4, 2];
  const pooling = new Float32Array(boxCounts.length * maxBoxes * tokens);
  boxCounts.forEach((count, image) => {
    pooling.set(uniform(`pooling ${image}`, count * tokens).map(Math.abs), image * maxBoxes * tokens);
  });
  const pixels = 3 * architecture.imageSize ** 2;
  return {
    images: uniform('images', boxCounts.length * 3 * side ** 2),
    size: side,
    crops: uniform('crops', 10 * pixels),
    wholes: uniform('wholes', boxCounts.length * pixels),
    labels: [0, 1, 2, 3, 4, 5, 0, 1, 6, 6],
    boxCounts,
    pooling,
  };
}

interface Observed {
  loss: number;
  gradNorm: number;
  cosines: number[][];
  gradients: Map<string, Float32Array>;
}

/** One step with these settings, and every gradient that reached the optimiser. */
async function observe(
  settings: Partial<DistillerSettings>,
  batch: DistillationBatch = batchAt(size),
): Promise<Observed> {
  const engine = new OnnxRuntimeCpuEngine(1);
  const weights = new Map(
    [...visionTensorShapes(architecture)].map(([name, shape]) => {
      const data = uniform(name, sizeOf(shape), 0.3);
      return [name, engine.upload(shape, name.endsWith('ln_pre.weight') ? data.fill(1) : data)];
    }),
  );
  const trainable = trainableNames(architecture, weights.keys(), architecture.layers + 2);
  const distiller = await Distiller.create(engine, architecture, weights, trainable, {
    size,
    cropSize: architecture.imageSize,
    maxBoxes,
    optimiser: { ...vitAdamW, weightDecay: 0.1 },
    activationBudget: 2 ** 20,
    ...settings,
  });
  // Away from the teacher, where retention has a gradient.
  const moved = 'visual.transformer.resblocks.0.mlp.c_proj.weight';
  distiller.restore(moved, uniform('moved', sizeOf(weights.get(moved)!.shape), 0.3));
  const gradients = new Map<string, Float32Array>();
  const { optimiser } = distiller;
  const apply = optimiser.apply.bind(optimiser);
  optimiser.apply = async (name: string, gradient: DeviceTensor) => {
    assert.ok(!gradients.has(name), `${name} is updated once`);
    gradients.set(name, (await readFloats(engine, gradient)).slice());
    await apply(name, gradient);
  };
  const result = await distiller.step(batch, 1, 1e-4);
  await distiller.dispose();
  assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
  await engine.dispose();
  return { ...result, gradients };
}

function assertEqualSteps(actual: Observed, expected: Observed): void {
  assert.ok(Math.abs(actual.loss - expected.loss) <= 1e-6 * Math.max(1, expected.loss));
  assert.ok(maxAbsDifference(actual.cosines.flat(), expected.cosines.flat()) <= 1e-6);
  assert.deepEqual([...actual.gradients.keys()].sort(), [...expected.gradients.keys()].sort());
  for (const [name, gradient] of expected.gradients) {
    const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const difference = maxAbsDifference(actual.gradients.get(name)!, gradient);
    assert.ok(difference <= 2e-6 * Math.max(0.1, largest), `${name}: differs by ${difference} of ${largest}`);
  }
}

describe('gradient accumulation', () => {
  const nouns = { embeddings: uniform('nouns', 120 * 8), temperature: 14, seed: 3 };

  for (const [name, settings] of [
    ['CLIPSelf', {}],
    ['CLIPSelf with retention', { retention: 0.5 }],
    ['region–noun pairs', { nouns }],
  ] as const) {
    it(`passes of one, two and three images give the gradients of the whole batch: ${name}`, async () => {
      const whole = await observe(settings);
      for (const imagesPerPass of [1, 2, 3])
        assertEqualSteps(await observe({ ...settings, imagesPerPass }), whole);
    });
  }

  it('works at other sizes of the student image', async () => {
    const [large, small] = [await observe({}), await observe({}, batchAt(16))];
    assert.notEqual(large.loss, small.loss);
    assertEqualSteps(await observe({ imagesPerPass: 2 }, batchAt(16)), small);
  });
});

describe('weights of the losses', () => {
  it('scale the CLIPSelf loss and its gradients', async () => {
    const [plain, doubled] = [await observe({}), await observe({ cosineWeight: 2 })];
    assert.ok(Math.abs(doubled.loss - 2 * plain.loss) <= 1e-6);
    assert.ok(Math.abs(doubled.gradNorm / plain.gradNorm - 2) <= 1e-5);
    assert.ok(maxAbsDifference(doubled.cosines.flat(), plain.cosines.flat()) <= 1e-7);
  });

  it('add retention to it, gradient by gradient', async () => {
    const [plain, half, full] = [
      await observe({}),
      await observe({ retention: 0.5 }),
      await observe({ retention: 1 }),
    ];
    assert.ok(half.loss > plain.loss);
    assert.ok(Math.abs(full.loss - plain.loss - 2 * (half.loss - plain.loss)) <= 2e-6);
    for (const [name, gradient] of plain.gradients) {
      const [halfway, whole] = [half.gradients.get(name)!, full.gradients.get(name)!];
      gradient.forEach((value, index) => {
        const expected = 2 * halfway[index]! - value;
        assert.ok(Math.abs(whole[index]! - expected) <= 1e-5, `${name}[${index}]`);
      });
    }
    // Queries and keys of the last block matter to whole images alone.
    const packed = 'visual.transformer.resblocks.1.attn.in_proj_weight';
    const queries = (gradients: Map<string, Float32Array>): Float32Array =>
      gradients.get(packed)!.subarray(0, 16 * 16);
    assert.ok(queries(plain.gradients).every(value => value === 0));
    assert.ok(queries(full.gradients).some(value => value !== 0));
  });
});
