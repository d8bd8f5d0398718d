/** Steps of CLIPSelf that keep the teacher's embeddings of regions. */

import assert from 'node:assert/strict';
import type { Distiller, StepResult } from '../../trainer/distill/distiller.ts';
import { EmbeddingStore, keptRegions } from '../../trainer/distill/embeddingStore.ts';
import type { DistillationBatch, KeptCrops } from '../../trainer/distill/regionLoss.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { createTinyDistiller, tinyBatch } from '../support/tinyDistiller.ts';
import { tinyArchitecture } from '../support/trainingFixture.ts';

const { embeddingDimension, imageSize } = tinyArchitecture;
const crop = 3 * imageSize ** 2;

describe('embeddings that the teacher keeps', () => {
  let engine: OnnxRuntimeCpuEngine;
  const distillers: Distiller[] = [];
  before(() => {
    engine = new OnnxRuntimeCpuEngine(1);
  });
  afterEach(async () => {
    for (const distiller of distillers.splice(0)) await distiller.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
  });
  after(() => engine.dispose());

  async function create(embeddings: EmbeddingStore | null, imagesPerPass = 2): Promise<Distiller> {
    const distiller = await createTinyDistiller(engine, 2 ** 30, 'fp32', { embeddings, imagesPerPass });
    distillers.push(distiller);
    return distiller;
  }

  /** The tiny batch of four boxes, `crops` of it at these places. */
  function batchWith(crops: readonly number[], kept: KeptCrops | null): DistillationBatch {
    const batch = tinyBatch();
    const pixels = new Float32Array(crops.length * crop);
    crops.forEach((place, row) => {
      pixels.set(batch.crops.subarray(place * crop, (place + 1) * crop), row * crop);
    });
    return { ...batch, crops: pixels, kept };
  }

  function assertClose(found: StepResult, expected: StepResult): void {
    assert.ok(Math.abs(found.loss - expected.loss) < 1e-6, `${found.loss}, expected ${expected.loss}`);
    found.cosines.flat().forEach((cosine, box) => {
      assert.ok(Math.abs(cosine - expected.cosines.flat()[box]!) < 2e-6, `box ${box}: ${cosine}`);
    });
  }

  for (const imagesPerPass of [2, 1])
    it(`are those of their crops, in passes of ${imagesPerPass}`, async () => {
      const anew = await create(null, imagesPerPass);
      const keeps = await create(new EmbeddingStore(3, embeddingDimension), imagesPerPass);
      // Region 7 is beyond what is kept: its crop comes every time.
      const first = batchWith([0, 1, 2, 3], { regions: [1, 0, 2, -1], cropOf: [0, 1, 2, 3] });
      const later = batchWith([3], { regions: [1, 0, 2, -1], cropOf: [-1, -1, -1, 0] });
      for (const [step, batch] of [first, later, later].entries())
        assertClose(
          await keeps.step(batch, step + 1, 1e-3),
          await anew.step(batchWith([0, 1, 2, 3], null), step + 1, 1e-3),
        );
    });

  for (const imagesPerPass of [2, 1])
    it(`serve a region that comes twice in a step, in passes of ${imagesPerPass}`, async () => {
      const anew = await create(null, imagesPerPass);
      const keeps = await create(new EmbeddingStore(4, embeddingDimension), imagesPerPass);
      // The second image stands in for one that cannot be read, and is the first once more.
      const twice = { regions: [1, 0, 2, 0], cropOf: [0, 1, 2, -1] };
      for (const step of [1, 2])
        assertClose(
          await keeps.step(
            step === 1
              ? batchWith([0, 1, 2], twice)
              : batchWith([], { regions: twice.regions, cropOf: [-1, -1, -1, -1] }),
            step,
            1e-3,
          ),
          await anew.step(batchWith([0, 1, 2, 1], null), step, 1e-3),
        );
    });

  it('are not made up where a crop never came', async () => {
    const keeps = await create(new EmbeddingStore(4, embeddingDimension));
    const lost = batchWith([0, 1, 2], { regions: [1, 0, 2, 3], cropOf: [0, 1, 2, -1] });
    await assert.rejects(keeps.step(lost, 1, 1e-3), /the teacher has not seen region 3/);
  });

  it('are as many as the memory holds', () => {
    assert.equal(keptRegions(1000, 512, 1), 512);
    assert.equal(keptRegions(100, 512, 1), 100);
    assert.equal(keptRegions(100, 512, 0), 0);
    const store = new EmbeddingStore(2, 3);
    store.set(1, Float32Array.of(1, 2, 3));
    assert.deepEqual([store.has(0), store.has(1), store.has(2)], [false, true, false]);
    assert.deepEqual(store.get(1), Float32Array.of(1, 2, 3));
    assert.throws(() => store.get(0), /has not seen region 0/);
    assert.throws(() => store.set(2, new Float32Array(3)), RangeError);
  });
});
