import assert from 'node:assert/strict';
import { fitPasses, type PassRequest } from '../../trainer/distill/tensorLimit.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { byteLengthOf, readFloats } from '../../trainer/engines/engine.ts';
import { EngineError } from '../../trainer/engines/engineError.ts';
import { largestTensor } from '../../trainer/engines/largestTensor.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { largestTensorIn } from '../../trainer/engines/onnx/webGpuLimits.ts';
import { visionTensorShapes } from '../../trainer/models/architecture.ts';
import { imageStages } from '../../trainer/models/visionStages.ts';
import { imageBatchOf } from '../../trainer/models/visionTower.ts';
import { createTinyDistiller, tinyBatch } from '../support/tinyDistiller.ts';
import { tinyArchitecture as architecture } from '../support/trainingFixture.ts';

const names = [...visionTensorShapes(architecture).keys()];
const request: PassRequest = {
  architecture,
  trainable: new Set(trainableNames(architecture, names, architecture.layers)),
  precision: 'fp32',
  size: 64,
  cropSize: 32,
  sizeOption: '--size',
  images: 6,
  maxBoxes: 4,
};

/** Bytes of the teacher's largest tensor for so many crops. */
const teacherBytes = (crops: number): number =>
  Math.max(
    ...imageStages(architecture, imageBatchOf(architecture, { shape: [crops, 3, 32, 32] })).map(
      ({ output }) => byteLengthOf(largestTensor({ output })),
    ),
  );

/** The least limit under which one image passes, bytes; found by halving. */
function leastLimit(): number {
  let [refused, taken] = [0, 2 ** 24];
  while (taken - refused > 1) {
    const limit = Math.floor((refused + taken) / 2);
    try {
      fitPasses({ ...request, images: 1, maxBoxes: 1 }, limit);
      taken = limit;
    } catch {
      refused = limit;
    }
  }
  return taken;
}

describe('passes under a limit of the tensor size', () => {
  it('take everything at once where it fits', () => {
    assert.deepEqual(fitPasses(request, Number.POSITIVE_INFINITY), { imagesPerPass: 6, cropsAtOnce: 24 });
  });

  it('are as large as the limit allows, and no larger', () => {
    for (const crops of [5, 11, 23]) {
      const { cropsAtOnce } = fitPasses(request, teacherBytes(crops));
      assert.equal(cropsAtOnce, crops);
    }
    const one = fitPasses({ ...request, images: 1, maxBoxes: 1 }, Number.POSITIVE_INFINITY);
    assert.deepEqual(one, { imagesPerPass: 1, cropsAtOnce: 1 });
    const image = leastLimit();
    assert.equal(fitPasses(request, 3 * image).imagesPerPass, 3);
    assert.equal(fitPasses(request, 4 * image - 1).imagesPerPass, 3);
  });

  it('say which tensor is too large when one image is', () => {
    assert.throws(
      () => fitPasses(request, 1000),
      (error: unknown) => {
        assert.ok(error instanceof EngineError);
        assert.match(
          error.message,
          /the tensor is '\w+' \[.*\], \d+\.\d MiB, more than the 0\.0 MiB .*: lower --size, or take --engine cpu/,
        );
        return true;
      },
    );
  });

  it('advise no smaller crops when one is too large: their size is the model’s', () => {
    const crops = { ...request, images: 1, maxBoxes: 1, size: 16, cropSize: 512 };
    assert.throws(() => fitPasses(crops, leastLimit()), /allows a tensor: take --engine cpu$/);
  });

  it('give the numbers of the whole batch', async () => {
    const engine = new OnnxRuntimeCpuEngine(1);
    const [whole, parted] = [
      await createTinyDistiller(engine),
      await createTinyDistiller(engine, 2 ** 30, 'fp32', { imagesPerPass: 1, cropsAtOnce: 2 }),
    ];
    const [expected, found] = [
      await whole.step(tinyBatch(), 1, 1e-3),
      await parted.step(tinyBatch(), 1, 1e-3),
    ];
    assert.ok(Math.abs(found.loss - expected.loss) < 1e-6);
    assert.ok(Math.abs(found.gradNorm / expected.gradNorm - 1) < 1e-6);
    for (const name of whole.trainable) {
      const [a, b] = [whole, parted].map(({ studentParameters }) => studentParameters.get(name)!);
      const [left, right] = [await readFloats(engine, a!), await readFloats(engine, b!)];
      const size = Math.max(...left.map(Math.abs));
      left.forEach((value, index) => {
        // AdamW's first step moves each weight by the learning rate, whatever the size of its gradient.
        assert.ok(Math.abs(value - right[index]!) < 2e-3 + 1e-6 * size, `${name}[${index}]`);
      });
    }
    await whole.dispose();
    await parted.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });
});

describe('the limits that ONNX Runtime tells', () => {
  const asked = 2 ** 33;

  it('are those of a buffer', () => {
    const said =
      'WebGPU validation failed. Buffer size (8589934592) exceeds the max buffer size limit (1073741824).\n - While';
    assert.equal(largestTensorIn(said, asked), 2 ** 30);
  });

  it('are those of what a shader sees, for two operands and a result', () => {
    const said =
      'maxStorageBuffersPerShaderStage was false. Too many storage buffers in shader. Current: 65, Max is 16';
    assert.equal(largestTensorIn(said, asked), 5 * 2 ** 27);
  });

  it('are unknown otherwise', () => {
    assert.equal(largestTensorIn('no answer within 30 s', asked), Number.POSITIVE_INFINITY);
  });
});
