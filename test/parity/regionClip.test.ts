import assert from 'node:assert/strict';
import { readNpy } from '../../trainer/checkpoints/npyFile.ts';
import { fractionsToCells, roiAlignRows } from '../../trainer/dense/roiPooling.ts';
import { Distiller } from '../../trainer/distill/distiller.ts';
import { evaAdamW } from '../../trainer/distill/optimiser.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { type DeviceTensor, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { normaliseRows } from '../../trainer/text/classEmbeddings.ts';
import { goldenArchitecture, uploadGoldenWeights } from '../support/goldenModel.ts';
import { fixturePath, goldenFloats, maxAbsDifference, readGolden } from '../support/goldenTensors.ts';

// The manifest states no rounding error for these numbers: float32 keeps seven digits of the largest.
const golden = readGolden('datasets/regionclip_loss.safetensors');
const appeared = [...(golden.get('appeared')!.data as BigInt64Array)].map(Number);

/** Regions with labels, as the published data set hands them over: fractions, class, flag. */
function goldenBatch(side: number, maxBoxes: number) {
  const images = goldenFloats(golden, 'images');
  const boxes = goldenFloats(golden, 'boxes');
  const count = images.shape[0]!;
  const map = { height: side, width: side };
  const pooling = new Float32Array(count * maxBoxes * side * side);
  const labels: number[] = [];
  const boxCounts = Array.from({ length: count }, (_, image) => {
    let used = 0;
    for (let row = 0; row < maxBoxes; row++) {
      const [x0, y0, x1, y1, label, valid] = boxes.data.slice(
        (image * maxBoxes + row) * 6,
      ) as unknown as number[];
      if (!(valid! > 0.5)) continue;
      const cells = fractionsToCells(Float32Array.of(x0!, y0!, x1!, y1!), map);
      roiAlignRows(cells, map, undefined, pooling, (image * maxBoxes + used++) * side * side);
      labels.push(label!);
    }
    return used;
  });
  return { images: images.data, crops: new Float32Array(0), boxCounts, pooling, labels };
}

describe('training on region–noun pairs equals the published code', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  const side = 8;
  const maxBoxes = goldenFloats(golden, 'boxes').shape[1]!;
  after(() => engine.dispose());

  it('gives the loss and the gradient of every tensor', async () => {
    const architecture = await goldenArchitecture('eva02');
    const weights = await uploadGoldenWeights(engine, 'eva02');
    const trainable = trainableNames(architecture, weights.keys(), 1);
    const embeddings = (await readNpy(fixturePath('datasets/nouns.npy'), 1 << 20)).data;
    normaliseRows(embeddings, architecture.embeddingDimension);
    // The published classes are all there are: its generator drew others than ours would.
    const nouns = Float32Array.from(
      appeared.flatMap(position => [
        ...embeddings.subarray(
          position * architecture.embeddingDimension,
          (position + 1) * architecture.embeddingDimension,
        ),
      ]),
    );
    const batch = goldenBatch(side, maxBoxes);
    const temperature = goldenFloats(golden, 'temperature').data[0]!;
    const distiller = await Distiller.create(engine, architecture, weights, trainable, {
      size: side * architecture.patchSize,
      cropSize: architecture.imageSize,
      maxBoxes,
      optimiser: { ...evaAdamW, weightDecay: 0.1 },
      activationBudget: 2 ** 30,
      nouns: { embeddings: nouns, temperature, seed: 0 },
    });
    const gradients = new Map<string, Float32Array>();
    const { optimiser } = distiller;
    const apply = optimiser.apply.bind(optimiser);
    optimiser.apply = async (name: string, gradient: DeviceTensor) => {
      gradients.set(name, await readFloats(engine, gradient));
      await apply(name, gradient);
    };
    const labels = batch.labels.map(label => appeared.indexOf(label));
    const { loss } = await distiller.step({ ...batch, labels }, 1, 1e-5);
    const expected = goldenFloats(golden, 'loss').data[0]!;
    assert.ok(Math.abs(loss - expected) <= 1e-6 * expected, `${loss} and ${expected}`);
    const names = [...golden.keys()].filter(name => name.startsWith('grad/'));
    assert.deepEqual(names.map(name => name.slice('grad/'.length)).sort(), [...trainable].sort());
    for (const name of names) {
      const reference = goldenFloats(golden, name).data;
      const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      const difference = maxAbsDifference(gradients.get(name.slice('grad/'.length))!, reference);
      assert.ok(difference <= 1e-6 * largest, `${name}: differs by ${difference}, its largest is ${largest}`);
    }
    await distiller.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
  });
});
