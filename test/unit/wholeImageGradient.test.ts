import assert from 'node:assert/strict';
import { Student } from '../../trainer/distill/student.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { type DeviceTensor, disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { imageStages } from '../../trainer/models/visionStages.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { goldenArchitecture, uploadGoldenWeights } from '../support/goldenModel.ts';

const uniform = (key: string, length: number): Float32Array => {
  const random = keyedRandom(13, key);
  return Float32Array.from({ length }, () => random.float() * 2 - 1);
};

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, index) => sum + value * b[index]!, 0);

for (const model of ['openai_vit', 'eva02'])
  describe(`the gradient of whole-image embeddings: ${model}`, () => {
    const engine = new OnnxRuntimeCpuEngine(1);
    const programs = new ProgramCache(engine);
    after(async () => {
      await programs.dispose();
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
      await engine.dispose();
    });

    it('equals differences of a linear function of them, in the direction of every trained tensor', async () => {
      const architecture = await goldenArchitecture(model);
      const weights = await uploadGoldenWeights(engine, model);
      const interpolations = new PositionInterpolations(engine, architecture);
      const names = [...weights.keys()].filter(name => name.startsWith('visual.'));
      const trainable = trainableNames(architecture, names, architecture.layers, true);
      const { imageSize, embeddingDimension } = architecture;
      const pixels = engine.upload([2, 3, imageSize, imageSize], uniform('pixels', 2 * 3 * imageSize ** 2));
      const coefficients = uniform('coefficients', 2 * embeddingDimension);
      const tower = new VisionTower(architecture, weights, programs, interpolations);
      const value = async (): Promise<number> => {
        const embeddings = await tower.encodeImage(pixels);
        const read = await readFloats(engine, embeddings);
        embeddings.dispose();
        return dot(read, coefficients);
      };

      const student = new Student(
        architecture,
        weights,
        trainable,
        programs,
        interpolations,
        2 ** 30,
        imageStages,
      );
      const { output, tape } = await student.forward(pixels);
      assert.ok(Math.abs(dot(await readFloats(engine, output), coefficients) - (await value())) < 1e-5);
      output.dispose();
      const gradients = new Map<string, Float32Array>();
      const upstream = engine.upload([2, embeddingDimension], coefficients);
      await student.backward(tape, upstream, async (name: string, gradient: DeviceTensor) => {
        gradients.set(name, (await readFloats(engine, gradient)).slice());
        gradient.dispose();
      });
      assert.deepEqual([...gradients.keys()].sort(), [...trainable].sort());

      // Along the gradient the change is as large as it gets, well above the rounding of float32.
      for (const name of trainable) {
        const gradient = gradients.get(name)!;
        const norm = Math.hypot(...gradient);
        // Keys' biases shift all scores of a query alike, which softmax does not see.
        if (norm < 1e-5) continue;
        const original = weights.get(name)!;
        const start = await readFloats(engine, original);
        const step = 0.02 / Math.max(1, norm);
        const shifted = async (sign: number): Promise<number> => {
          const moved = engine.upload(
            original.shape,
            start.map((weight, index) => weight + (sign * step * gradient[index]!) / norm),
          );
          weights.set(name, moved);
          const result = await value();
          moved.dispose();
          return result;
        };
        const slope = ((await shifted(1)) - (await shifted(-1))) / (2 * step);
        weights.set(name, original);
        assert.ok(Math.abs(slope - norm) <= 0.01 * norm + 2e-4, `${name}: ${slope} and ${norm}`);
      }
      disposeAll([pixels, ...weights.values()]);
      interpolations.dispose();
    });
  });

it('whole images train queries and keys of the last block of EVA-02, which dense features leave alone', async () => {
  const architecture = await goldenArchitecture('eva02');
  const names = [`visual.blocks.${architecture.layers - 1}.attn.q_proj.weight`];
  assert.deepEqual(trainableNames(architecture, names, 1), []);
  assert.deepEqual(trainableNames(architecture, names, 1, true), names);
});
