import assert from 'node:assert/strict';
import { resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import { loadTower } from '../../trainer/dense/loadTower.ts';
import { type DeviceTensor, disposeAll, type Engine, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { add } from '../../trainer/graph/operations/arithmetic.ts';
import { concat, slice } from '../../trainer/graph/operations/layout.ts';
import { Value } from '../../trainer/graph/value.ts';
import type { Raster } from '../../trainer/images/raster.ts';
import { FrozenPrograms } from '../../trainer/models/frozenPrograms.ts';
import type { VisionStage } from '../../trainer/models/visionStage.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { uploadVisionParameters } from '../../trainer/training/modelParameters.ts';
import { maxAbsDifference } from '../support/goldenTensors.ts';
import { randomWeights, uniform } from '../support/randomTower.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { createTinyDistiller, tinyBatch } from '../support/tinyDistiller.ts';
import { tinyArchitecture, writeTinyModel } from '../support/trainingFixture.ts';

const { layers, imageSize, patchSize } = tinyArchitecture;

/** Counts the programs with numbers of their own that an engine made and that are left. */
function countFrozen(engine: OnnxRuntimeCpuEngine): { made: number; left: number } {
  const count = { made: 0, left: 0 };
  const compile = engine.compileFrozen.bind(engine);
  engine.compileFrozen = async (...all) => {
    const program = await compile(...all);
    count.made++;
    count.left++;
    const dispose = program.dispose.bind(program);
    program.dispose = () => {
      count.left--;
      return dispose();
    };
    return program;
  };
  return count;
}

describe('programs with a tower’s weights', () => {
  let engine: OnnxRuntimeCpuEngine;
  let weights: Map<string, DeviceTensor>;
  let programs: ProgramCache;
  let interpolations: PositionInterpolations;
  let count: ReturnType<typeof countFrozen>;
  let frozen: FrozenPrograms;

  beforeEach(() => {
    engine = new OnnxRuntimeCpuEngine(1);
    weights = randomWeights(engine, tinyArchitecture);
    programs = new ProgramCache(engine);
    interpolations = new PositionInterpolations(engine, tinyArchitecture);
    count = countFrozen(engine);
  });
  afterEach(async () => {
    await frozen.dispose();
    assert.equal(count.left, 0);
    interpolations.dispose();
    disposeAll(weights.values());
    await programs.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  const frozenTower = (): VisionTower => {
    frozen = new FrozenPrograms(engine, weights);
    return new VisionTower(tinyArchitecture, weights, programs, interpolations, 'fp32', frozen);
  };

  async function embed(
    tower: VisionTower,
    images: number,
    side: number = imageSize,
    dense = false,
  ): Promise<Float32Array> {
    const pixels = engine.upload([images, 3, side, side], uniform(images * 3 * side * side, 2, side));
    const result = dense ? await tower.encodeDense(pixels) : await tower.encodeImage(pixels);
    const values = await readFloats(engine, result);
    disposeAll([pixels, result]);
    return values;
  }

  it('take any number of images, and give what the tower gives without them', async () => {
    const plain = new VisionTower(tinyArchitecture, weights, programs, interpolations);
    const tower = frozenTower();
    for (const images of [3, 1, 2])
      for (const dense of [false, true]) {
        const [own, expected] = [
          await embed(tower, images, imageSize, dense),
          await embed(plain, images, imageSize, dense),
        ];
        assert.equal(own.length, expected.length);
        assert.ok(maxAbsDifference(own, expected) <= 2e-6, `${images} images, dense: ${dense}`);
      }
    // All blocks; the last one once for dense features, whose image read-out sees the class token alone.
    assert.equal(count.made, layers);
  });

  it('are of the patch grid that comes first; others go without', async () => {
    const plain = new VisionTower(tinyArchitecture, weights, programs, interpolations);
    const tower = frozenTower();
    await embed(tower, 1);
    const other = imageSize + patchSize;
    assert.deepEqual(await embed(tower, 1, other), await embed(plain, 1, other));
    assert.equal(count.made, layers - 1);
  });

  it('take one image where its rows are cut up', async () => {
    const given: string[] = [];
    frozen = new FrozenPrograms(engine, weights, names => given.push(...names));
    const input = Value.input('input', [4, 2]);
    const halves = concat([slice(input, 0, 2, 4), slice(input, 0, 0, 2)], 0);
    const stage: VisionStage = {
      key: 'halves',
      output: add(halves, halves),
      parameters: { weight: [...weights.keys()][0]! },
    };
    const images = (batch: number) => ({ batch, rows: 1, columns: 3, height: 8, width: 24 });
    const cut = { ...stage, frozen: () => stage };
    assert.equal(await frozen.programOf(cut, images(2)), null);
    assert.notEqual(await frozen.programOf(cut, images(1)), null);
    assert.equal(await frozen.programOf(stage, images(1)), null, 'a stage without such a form');
    assert.deepEqual(given, [], 'two images still need the weights');
  });

  it('are none of an engine that gains nothing by them', async () => {
    const other: Engine = Object.create(engine, { compileFrozen: { value: undefined } });
    frozen = new FrozenPrograms(other, weights);
    const tower = new VisionTower(tinyArchitecture, weights, programs, interpolations, 'fp32', frozen);
    assert.equal((await embed(tower, 1)).length, tinyArchitecture.embeddingDimension);
    assert.equal(count.made, 0);
  });
});

describe('the teacher’s weights', () => {
  it('are not held beside the programs that have them', async () => {
    const engine = new OnnxRuntimeCpuEngine(1);
    const count = countFrozen(engine);
    const distiller = await createTinyDistiller(engine);
    const before = engine.live.bytes;
    await distiller.step(tinyBatch(), 1, 1e-4);
    // The student's moments come with the first step: twice the parameters it trains.
    const trained = [...distiller.trainable].map(name => distiller.studentParameters.get(name)!);
    const bytes = (tensors: readonly DeviceTensor[]): number =>
      tensors.reduce((sum, { shape }) => sum + 4 * shape.reduce((product, length) => product * length, 1), 0);
    const inPrograms = [...distiller.trainable].filter(name => {
      const block = /resblocks\.(\d+)\./.exec(name);
      return block !== null && Number(block[1]) < layers - 1;
    });
    const given = bytes(inPrograms.map(name => distiller.studentParameters.get(name)!));
    assert.ok(given > 0);
    assert.equal(count.made, layers - 1);
    const tables = engine.live.bytes - (before + 2 * bytes(trained) - given);
    assert.ok(tables >= 0 && tables < given / 2, `${tables} bytes beside`);
    // Later steps, and what compares without learning, still have their teacher.
    await distiller.step(tinyBatch(), 2, 1e-4);
    assert.equal((await distiller.compare(tinyBatch())).length, 2);
    await distiller.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });
});

describe('a loaded tower', () => {
  it('has its weights in its programs where it will see many images, and gives the same', async () => {
    const folder = await temporaryFolder();
    const engine = new OnnxRuntimeCpuEngine(1);
    try {
      await writeTinyModel(folder.path);
      const model = await resolveModel(folder.path);
      const data = Uint8Array.from({ length: 3 * 40 * 30 }, (_, index) => (index * 37) % 256);
      const image: Raster = { width: 40, height: 30, mode: 'RGB', channels: 3, data };
      const count = countFrozen(engine);
      const featuresFor = async (images: number): Promise<Float32Array> => {
        const parameters = await uploadVisionParameters(engine, model.weightsFile);
        const tower = await loadTower(model, engine, parameters, images);
        const { features } = await tower.features.dense(image, 64);
        await tower.dispose();
        return features;
      };
      const few = await featuresFor(19);
      assert.equal(count.made, 0);
      const many = await featuresFor(20);
      assert.equal(count.made, layers);
      assert.ok(maxAbsDifference(many, few) <= 2e-6);
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
      assert.equal(count.left, 0);
    } finally {
      await engine.dispose();
      await folder.remove();
    }
  });
});
