import assert from 'node:assert/strict';
import { maskPoolingRows } from '../../trainer/dense/maskPooling.ts';
import { fractionsToCells, roiAlignRows } from '../../trainer/dense/roiPooling.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { type DeviceTensor, disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { gridSide, type ResNetArchitecture } from '../../trainer/models/architecture.ts';
import { attentionPool } from '../../trainer/models/attentionPool.ts';
import { resNetTrunkStages } from '../../trainer/models/modifiedResNet.ts';
import { stageFeeds } from '../../trainer/models/stageFeeds.ts';
import type { VisionStage } from '../../trainer/models/visionStage.ts';
import { imageBatchOf, PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import {
  assertAgrees,
  channelsFirst,
  goldenArchitecture,
  modelManifest,
  pool,
  unitRows,
  uploadGoldenWeights,
} from '../support/goldenModel.ts';
import { goldenBytes, goldenFloats, readGolden } from '../support/goldenTensors.ts';

const model = 'resnet';
const file = 'forward.safetensors';

describe('ModifiedResNet equals the published code', () => {
  const manifest = modelManifest(model);
  const golden = readGolden(`${model}/${file}`);
  const engine = new OnnxRuntimeCpuEngine(1);
  const programs = new ProgramCache(engine);
  let architecture: ResNetArchitecture;
  let weights: Map<string, DeviceTensor>;
  let interpolations: PositionInterpolations;
  let tower: VisionTower;
  const agrees = (tensor: string, actual: ArrayLike<number>): void =>
    assertAgrees(manifest, file, tensor, actual, goldenFloats(golden, tensor));

  before(async () => {
    const found = await goldenArchitecture(model);
    assert.ok(found.kind === 'resnet');
    architecture = found;
    weights = await uploadGoldenWeights(engine, model);
    interpolations = new PositionInterpolations(engine, architecture);
    tower = new VisionTower(architecture, weights, programs, interpolations);
  });
  after(async () => {
    interpolations.dispose();
    disposeAll(weights.values());
    await programs.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  const upload = (tensor: string): DeviceTensor => {
    const { shape, data } = goldenFloats(golden, tensor);
    return engine.upload(shape, data);
  };

  /** Runs stages on a tensor, which it disposes of; `look` sees every stage's result. */
  async function run(
    stages: readonly VisionStage[],
    input: DeviceTensor,
    tables: Parameters<typeof stageFeeds>[3],
    look: (index: number, values: Float32Array) => void = () => undefined,
  ): Promise<Float32Array> {
    let current = input;
    let values: Float32Array = new Float32Array();
    for (const [index, stage] of stages.entries()) {
      const program = await programs.get(stage.key, () => ({ output: stage.output }));
      const { output } = await program.run(stageFeeds(stage, current, weights, tables));
      current.dispose();
      current = output!;
      values = await readFloats(engine, current);
      look(index, values);
    }
    current.dispose();
    return values;
  }

  it('gives the feature map of every stage', async () => {
    const pixels = upload('native/image');
    const batch = imageBatchOf(architecture, pixels);
    const ends = architecture.stages.map((_, stage) =>
      architecture.stages.slice(0, stage + 1).reduce((sum, count) => sum + count, 0),
    );
    let seen = 0;
    await run(resNetTrunkStages(architecture, batch), pixels, {}, (index, values) => {
      const stage = ends.indexOf(index);
      if (stage < 0) return;
      agrees(`native/trace/block${stage}`, values);
      seen++;
    });
    assert.equal(seen, 4);
  });

  it('gives encode_image', async () => {
    const pixels = upload('native/image');
    const embedded = await tower.encodeImage(pixels);
    const values = await readFloats(engine, embedded);
    agrees('native/encode_image', values);
    agrees('native/encode_image_norm', unitRows(values, architecture.embeddingDimension));
    disposeAll([pixels, embedded]);
  });

  for (const prefix of ['native', 'res96x96', 'res64x128'])
    it(`gives dense features, pooled boxes and pooled masks: ${prefix}`, async () => {
      const pixels = upload(`${prefix}/image`);
      const { batch, rows, columns } = imageBatchOf(architecture, pixels);
      const [cells, width] = [rows * columns, architecture.embeddingDimension];
      const encoded = await tower.encodeDense(pixels);
      const dense = await readFloats(engine, encoded);
      disposeAll([pixels, encoded]);
      agrees(`${prefix}/dense`, channelsFirst(dense, batch, cells, width));
      const boxes: number[] = [];
      const masked: number[] = [];
      for (let index = 0; index < batch; index++) {
        const features = dense.subarray(index * cells * width, (index + 1) * cells * width);
        const map = { height: rows, width: columns };
        const cellBoxes = fractionsToCells(goldenFloats(golden, `boxes/${index}`).data, map);
        boxes.push(...pool(roiAlignRows(cellBoxes, map), features, cells, width));
        const masks = maskPoolingRows(goldenBytes(golden, `${prefix}/masks/${index}`).data, cells);
        masked.push(...pool(masks, features, cells, width));
      }
      agrees(`${prefix}/roi_v2`, boxes);
      agrees(`${prefix}/roi_v2_norm`, unitRows(Float32Array.from(boxes), width));
      agrees(`${prefix}/mask_pool`, masked);
      agrees(`${prefix}/encode_masks`, unitRows(Float32Array.from(masked), width));
    });

  for (const prefix of ['native', 'res96x96'])
    it(`pools boxes of the last feature map by attention (v1): ${prefix}`, async () => {
      const pixels = upload(`${prefix}/image`);
      const batch = imageBatchOf(architecture, pixels);
      const map = { height: batch.rows, width: batch.columns };
      const cells = batch.rows * batch.columns;
      const channels = 32 * architecture.width;
      const features = await run(resNetTrunkStages(architecture, batch), pixels, {});
      const side = gridSide(architecture);
      const embedded: number[] = [];
      for (let image = 0; image < batch.batch; image++) {
        const boxes = fractionsToCells(goldenFloats(golden, `boxes/${image}`).data, map);
        const rows = roiAlignRows(boxes, map, { height: side, width: side });
        const own = features.subarray(image * channels * cells, (image + 1) * channels * cells);
        // [C, cells] → [cells, C], pooled to [boxes · side², C], and back to [boxes, C, side²].
        const pooled = pool(rows, channelsFirst(own, 1, channels, cells), cells, channels);
        const count = boxes.length / 4;
        const maps = channelsFirst(pooled, count, side * side, channels);
        const own1 = { batch: count, rows: side, columns: side, height: side * 32, width: side * 32 };
        const input = engine.upload([count, channels, side, side], maps);
        embedded.push(...(await run([attentionPool(architecture, own1)], input, {})));
      }
      agrees(`${prefix}/roi_v1`, embedded);
    });

  it('says what it does not have', async () => {
    const pixels = upload('native/image');
    await assert.rejects(async () => tower.tokens(pixels, 1), /is a ResNet and has no tokens/);
    await assert.rejects(async () => tower.attention(pixels, 1), /is a ResNet and has no attention maps/);
    await assert.rejects(async () => tower.encodeDense(pixels, { readOut: 'tokens' }), /value read-out/);
    const odd = engine.upload([1, 3, 70, 64], new Float32Array(3 * 70 * 64));
    await assert.rejects(async () => tower.encodeImage(odd), /multiples of 32 for a ResNet/);
    disposeAll([pixels, odd]);
    assert.deepEqual(trainableNames(architecture, weights.keys(), 12), []);
  });
});
