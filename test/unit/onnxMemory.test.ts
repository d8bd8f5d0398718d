import assert from 'node:assert/strict';
import { Distiller } from '../../trainer/distill/distiller.ts';
import { vitAdamW } from '../../trainer/distill/optimiser.ts';
import type { DistillationBatch } from '../../trainer/distill/regionLoss.ts';
import { NonFiniteGradientError, NonFiniteLossError } from '../../trainer/distill/stepErrors.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import type { DeviceTensor } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { sizeOf } from '../../trainer/graph/shape.ts';
import { type VisionArchitecture, visionTensorShapes } from '../../trainer/models/architecture.ts';
import { keyedRandom } from '../../trainer/random.ts';

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
const size = 32;
const tokens = (size / architecture.patchSize) ** 2;
const maxBoxes = 6;
const imageElements = 3 * size * size;
const cropElements = 3 * architecture.imageSize ** 2;

const uniform = (key: string, length: number, spread: number): Float32Array => {
  const random = keyedRandom(4, key);
  return Float32Array.from({ length }, () => (random.float() * 2 - 1) * spread);
};

const uploadWeights = (engine: OnnxRuntimeCpuEngine): Map<string, DeviceTensor> =>
  new Map(
    [...visionTensorShapes(architecture)].map(([name, shape]) => {
      const data = uniform(name, sizeOf(shape), 0.3);
      return [name, engine.upload(shape, name.endsWith('ln_pre.weight') ? data.fill(1) : data)];
    }),
  );

/** A batch of two images; the number of crops changes every fourth step and comes back to earlier ones. */
function batchOf(step: number): DistillationBatch {
  const boxCounts = [1 + (Math.floor(step / 4) % maxBoxes), 1 + (Math.floor(step / 100) % maxBoxes)];
  const pooling = new Float32Array(boxCounts.length * maxBoxes * tokens);
  boxCounts.forEach((count, image) => {
    for (let box = 0; box < count; box++) pooling[(image * maxBoxes + box) * tokens + box] = 1;
  });
  const crops = boxCounts[0]! + boxCounts[1]!;
  return {
    images: uniform('images', boxCounts.length * imageElements, 1),
    crops: uniform('crops', crops * cropElements, 1),
    boxCounts,
    pooling,
  };
}

describe('memory of training', () => {
  let engine: OnnxRuntimeCpuEngine;
  let distiller: Distiller;

  beforeEach(async () => {
    engine = new OnnxRuntimeCpuEngine(1);
    const weights = uploadWeights(engine);
    const trainable = trainableNames(architecture, weights.keys(), architecture.layers + 2);
    distiller = await Distiller.create(engine, architecture, weights, trainable, {
      size,
      cropSize: architecture.imageSize,
      maxBoxes,
      optimiser: { ...vitAdamW, weightDecay: 0.1 },
      // The first blocks keep their activations, the others compute theirs again: both ways are walked.
      activationBudget: 30_000,
    });
  });

  afterEach(async () => {
    await distiller.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  it('does not grow over 1,000 steps whose number of crops changes', async () => {
    const marks = new Map<number, { tensors: number; bytes: number; resident: number }>();
    let [first, last] = [0, 0];
    for (let step = 1; step <= 1000; step++) {
      const { loss } = await distiller.step(batchOf(step), step, 1e-4);
      if (step <= 10) first += loss / 10;
      if (step > 990) last += loss / 10;
      if (step === 10 || step === 200 || step === 1000)
        marks.set(step, { ...engine.live, resident: process.memoryUsage.rss() });
    }
    const [early, warm, end] = [10, 200, 1000].map(step => marks.get(step)!);
    assert.deepEqual([end!.tensors, end!.bytes], [early!.tensors, early!.bytes]);
    const grown = (end!.resident - warm!.resident) / 2 ** 20;
    assert.ok(grown < 64, `resident memory grew by ${grown.toFixed(1)} MiB from step 200 to step 1000`);
    assert.ok(last < first, 'these were real steps: the loss fell');
  }).timeout(60_000);

  it('keeps nothing of a comparison', async () => {
    await distiller.step(batchOf(1), 1, 1e-4);
    const { live } = engine;
    await distiller.compare(batchOf(2));
    assert.deepEqual(engine.live, live);
  });

  it('keeps nothing of a step whose loss or gradient is not finite', async () => {
    await distiller.step(batchOf(1), 1, 1e-4);
    const { live } = engine;
    const spoilt = batchOf(2);
    spoilt.images.fill(Number.NaN);
    await assert.rejects(distiller.step(spoilt, 2, 1e-4), NonFiniteLossError);
    assert.deepEqual(engine.live, live);

    const name = 'visual.transformer.resblocks.1.mlp.c_proj.bias';
    const shape = distiller.studentParameters.get(name)!.shape;
    const { optimiser } = distiller;
    const apply = optimiser.apply.bind(optimiser);
    optimiser.apply = async (parameter: string, gradient: DeviceTensor) => {
      if (parameter !== name) return apply(parameter, gradient);
      gradient.dispose();
      return apply(name, engine.upload(shape, new Float32Array(sizeOf(shape)).fill(Number.NaN)));
    };
    await assert.rejects(distiller.step(batchOf(3), 3, 1e-4), NonFiniteGradientError);
    assert.deepEqual(engine.live, live);
  });
});
