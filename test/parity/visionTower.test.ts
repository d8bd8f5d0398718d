import assert from 'node:assert/strict';
import { maskPoolingRows } from '../../trainer/dense/maskPooling.ts';
import { fractionsToCells, roiAlignRows } from '../../trainer/dense/roiPooling.ts';
import { type DeviceTensor, disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import type { VisionArchitecture } from '../../trainer/models/architecture.ts';
import { FrozenPrograms } from '../../trainer/models/frozenPrograms.ts';
import { visibleUnderBoxes, visibleUnderMasks } from '../../trainer/models/maskAttention.ts';
import { interpolationMatrix } from '../../trainer/models/positionInterpolation.ts';
import { stageFeeds } from '../../trainer/models/stageFeeds.ts';
import { imageStages } from '../../trainer/models/visionStages.ts';
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
import { goldenBytes, goldenFloats, maxAbsDifference, readGolden } from '../support/goldenTensors.ts';

/** [1 + h·w, B, C] → [B, 1 + h·w, C] */
function batchFirst(golden: { shape: number[]; data: Float32Array }): Float32Array {
  const [tokens, batch, width] = golden.shape as [number, number, number];
  const result = new Float32Array(golden.data.length);
  for (let token = 0; token < tokens; token++)
    for (let image = 0; image < batch; image++)
      result.set(
        golden.data.subarray((token * batch + image) * width, (token * batch + image + 1) * width),
        (image * tokens + token) * width,
      );
  return result;
}

/** [B, 1 + h·w, C] → [B, C] */
function firstTokens(tokens: Float32Array, batch: number, width: number): Float32Array {
  const result = new Float32Array(batch * width);
  const each = tokens.length / batch;
  for (let image = 0; image < batch; image++)
    result.set(tokens.subarray(image * each, image * each + width), image * width);
  return result;
}

const towers = ['openai_vit', 'openclip_vit', 'eva02'].flatMap(model =>
  [false, true].map(isFrozen => ({ model, isFrozen })),
);

for (const { model, isFrozen } of towers)
  describe(`image tower equals the published code: ${model}${isFrozen ? ', weights in its programs' : ''}`, () => {
    const file = 'forward.safetensors';
    const manifest = modelManifest(model);
    const golden = readGolden(`${model}/${file}`);
    const engine = new OnnxRuntimeCpuEngine(1);
    const programs = new ProgramCache(engine);
    let architecture: VisionArchitecture;
    let interpolations: PositionInterpolations;
    let weights: Map<string, DeviceTensor>;
    let tower: VisionTower;
    let frozen: FrozenPrograms | null = null;
    const agrees = (tensor: string, actual: ArrayLike<number>): void =>
      assertAgrees(manifest, file, tensor, actual, goldenFloats(golden, tensor));

    before(async () => {
      architecture = await goldenArchitecture(model);
      interpolations = new PositionInterpolations(engine, architecture);
      weights = await uploadGoldenWeights(engine, model);
      frozen = isFrozen ? new FrozenPrograms(engine, weights) : null;
      tower = new VisionTower(architecture, weights, programs, interpolations, 'fp32', frozen);
    });
    after(async () => {
      await frozen?.dispose();
      interpolations.dispose();
      disposeAll(weights.values());
      await programs.dispose();
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
      await engine.dispose();
    });

    it('gives every block trace of encode_image', async () => {
      const image = goldenFloats(golden, 'native/image');
      const pixels = engine.upload(image.shape, image.data);
      const names = ['ln_pre', ...Array.from({ length: architecture.layers }, (_, block) => `block${block}`)];
      const batch = imageBatchOf(architecture, pixels);
      let input = pixels;
      for (const [index, stage] of imageStages(architecture, batch).slice(0, names.length).entries()) {
        const program = await programs.get(stage.key, () => ({ output: stage.output }));
        const { output } = await program.run(
          stageFeeds(stage, input, weights, interpolations.feedsFor(batch)),
        );
        input.dispose();
        input = output!;
        const tensor = `native/trace/${names[index]}`;
        // EVA-02 has no norm before its first block.
        if (!golden.has(tensor)) continue;
        const reference = goldenFloats(golden, tensor);
        const byImage = model === 'eva02' || index === 0 ? reference.data : batchFirst(reference);
        const actual = await readFloats(engine, input);
        // The last block of this tower computes the class token alone.
        const expected =
          index === architecture.layers ? firstTokens(byImage, batch.batch, architecture.width) : byImage;
        assertAgrees(manifest, file, tensor, actual, { data: expected });
      }
      input.dispose();
    });

    it('gives encode_image', async () => {
      const image = goldenFloats(golden, 'native/image');
      const pixels = engine.upload(image.shape, image.data);
      const embedded = await tower.encodeImage(pixels);
      const values = await readFloats(engine, embedded);
      agrees('native/encode_image', values);
      agrees('native/encode_image_norm', unitRows(values, architecture.embeddingDimension));
      disposeAll([pixels, embedded]);
    });

    const sizes = [...golden.keys()].filter(name => name.endsWith('/image') && !name.startsWith('rois'));
    for (const prefix of sizes.map(name => name.replace('/image', '')))
      it(`gives dense features, pooled boxes and pooled masks: ${prefix}`, async () => {
        const image = goldenFloats(golden, `${prefix}/image`);
        const pixels = engine.upload(image.shape, image.data);
        const { batch, rows, columns } = imageBatchOf(architecture, pixels);
        const [cells, width] = [rows * columns, architecture.embeddingDimension];
        const encoded = await tower.encodeDense(pixels);
        const dense = await readFloats(engine, encoded);
        disposeAll([pixels, encoded]);
        agrees(`${prefix}/dense`, channelsFirst(dense, batch, cells, width));
        if (prefix === 'native') agrees('native/dense_flat', dense);

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
        if (`${prefix}/image` === sizes[1] && golden.has('rois_and_image/rois'))
          agrees('rois_and_image/rois', unitRows(Float32Array.from(boxes), width));
        agrees(`${prefix}/mask_pool`, masked);
        agrees(`${prefix}/encode_masks`, unitRows(Float32Array.from(masked), width));
      });

    for (const prefix of sizes
      .map(name => name.replace('/image', ''))
      .filter(prefix => golden.has(`${prefix}/roi_v1`)))
      it(`gives regions by mask attention: ${prefix}`, async () => {
        const image = goldenFloats(golden, `${prefix}/image`);
        const elements = image.data.length / image.shape[0]!;
        const boxes: number[] = [];
        const masked: number[] = [];
        for (let index = 0; index < image.shape[0]!; index++) {
          const own = image.data.subarray(index * elements, (index + 1) * elements);
          const pixels = engine.upload([1, ...image.shape.slice(1)], own);
          const batch = imageBatchOf(architecture, pixels);
          const embed = async (visible: Uint8Array): Promise<Float32Array> => {
            const regions = visible.length / (1 + batch.rows * batch.columns);
            const seen = engine.upload([regions, 1 + batch.rows * batch.columns], visible);
            const encoded = await tower.encodeMasked(pixels, seen);
            const values = await readFloats(engine, encoded);
            disposeAll([seen, encoded]);
            return values;
          };
          boxes.push(...(await embed(visibleUnderBoxes(goldenFloats(golden, `boxes/${index}`).data, batch))));
          const masks = goldenBytes(golden, `${prefix}/masks/${index}`).data;
          masked.push(...(await embed(visibleUnderMasks(masks, batch))));
          pixels.dispose();
        }
        agrees(`${prefix}/roi_v1`, boxes);
        agrees(
          `${prefix}/encode_masks_attn`,
          unitRows(Float32Array.from(masked), architecture.embeddingDimension),
        );
      });

    it('gives the image of the helper for boxes and image', async () => {
      // The published helper works on the first size beside the native one.
      const prefix = sizes[1]!.replace('/image', '');
      const image = goldenFloats(golden, `${prefix}/image`);
      const pixels = engine.upload(image.shape, image.data);
      const width = architecture.embeddingDimension;
      const embedded = await tower.encodeImage(pixels);
      agrees('rois_and_image/image', unitRows(await readFloats(engine, embedded), width));
      disposeAll([pixels, embedded]);
    });

    for (const name of [...golden.keys()].filter(name => name.endsWith('/pos_embed')))
      it(`interpolates positions: ${name}`, () => {
        const [rows, columns] = name.match(/\d+/g)!.map(pixels => Number(pixels) / architecture.patchSize);
        const parameter = model === 'eva02' ? 'visual.pos_embed' : 'visual.positional_embedding';
        const own = goldenFloats(readGolden(`${model}/weights.safetensors`), parameter);
        const side = architecture.imageSize / architecture.patchSize;
        const matrix = interpolationMatrix({ height: side, width: side }, { height: rows!, width: columns! });
        const grid = pool(matrix, own.data.subarray(architecture.width), side * side, architecture.width);
        const actual = [...own.data.subarray(0, architecture.width), ...grid];
        assert.ok(maxAbsDifference(actual, goldenFloats(golden, name).data) <= 1e-6);
      });
  });
