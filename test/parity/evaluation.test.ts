import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { ImageFeatures } from '../../trainer/dense/imageFeatures.ts';
import { soloWorld } from '../../trainer/distributed/world.ts';
import { type DeviceTensor, disposeAll } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { readCocoPanoptic } from '../../trainer/evaluate/cocoPanoptic.ts';
import { evaluate } from '../../trainer/evaluate/evaluation.ts';
import { type PreparationSettings, prepareRegions } from '../../trainer/evaluate/prepareRegions.ts';
import {
  type EvaluatedRegion,
  type EvaluationReport,
  type RegionReading,
  regionReadings,
  regionsFileOf,
} from '../../trainer/evaluate/protocol.ts';
import type { RegionData } from '../../trainer/evaluate/regionData.ts';
import { RankTally } from '../../trainer/evaluate/tally.ts';
import { clipNormalisation } from '../../trainer/images/normalise.ts';
import type { VisionArchitecture } from '../../trainer/models/architecture.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { readClassEmbeddings } from '../../trainer/text/classEmbeddings.ts';
import { goldenArchitecture, uploadGoldenWeights } from '../support/goldenModel.ts';
import {
  fixturePath,
  type GoldenTensor,
  goldenFloats,
  maxAbsDifference,
  readGolden,
  readManifest,
} from '../support/goldenTensors.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const golden = readGolden('datasets/panoptic_eval.safetensors');
const manifest = readManifest<{
  eval: { metrics: Record<string, number> };
  macc_expected: Record<string, number>;
}>('datasets');
const folders = { images: fixturePath('datasets/pan_img'), masks: fixturePath('datasets/pan_seg') };
const [size, cropSize, patchSize] = [64, 32, 8];

const values = (name: string): ArrayLike<number | bigint> => golden.get(name)!.data;

/** Rows of `tensor` whose box is valid. */
function validRows(image: number, tensor: string): { row: number; data: ArrayLike<number> }[] {
  const boxes = goldenFloats(golden, `img${image}/boxes`);
  const { data, shape } = golden.get(tensor) as GoldenTensor<Float32Array>;
  const length = data.length / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, row) => row)
    .filter(row => boxes.data[row * 8 + 5]! > 0.5)
    .map(row => ({ row, data: data.subarray(row * length, (row + 1) * length) }));
}

describe('region classification against the published evaluation', () => {
  let data: RegionData;
  let folder: TemporaryFolder;

  before(async () => {
    data = await readCocoPanoptic(fixturePath('datasets/panoptic.json'), false);
    folder = await temporaryFolder();
  });
  after(() => folder.remove());

  it('prepares the same boxes, masks and crops', async () => {
    const settings: PreparationSettings = {
      ...folders,
      sizes: [size],
      patchSize,
      cropSize,
      normalisation: clipNormalisation,
      things: data.classes.map(({ isThing }) => isThing),
      skipBroken: false,
    };
    for (const [index, image] of data.images.entries()) {
      const { regions, sizes, crops, skipped } = await prepareRegions(image, settings);
      const boxes = validRows(index, `img${index}/boxes`);
      assert.equal(regions.length, boxes.length);
      assert.deepEqual(skipped, boxes.length < image.regions.length ? { 'smaller than 64 px': 1 } : {});
      const masks = validRows(index, `img${index}/masks`);
      for (const [place, region] of regions.entries()) {
        const [x0, y0, x1, y1] = region.box;
        const { data: box } = boxes[place]!;
        assert.deepEqual([region.class, (x1 - x0) * (y1 - y0)], [box[4], box[6]]);
        const weights = sizes[0]!.maskRows.subarray(place * 64, (place + 1) * 64);
        assert.deepEqual(
          Array.from(weights, weight => Number(weight > 0)),
          Array.from(masks[place]!.data),
        );
      }
      if (index === 0)
        for (const [place, { data: crop }] of validRows(0, 'img0/crops').entries())
          assert.equal(
            maxAbsDifference(crops.subarray(place * crop.length, (place + 1) * crop.length), crop),
            0,
          );
    }
  });

  it('rounds the accuracy of a class to float16 before the mean', () => {
    const labels = values('macc/labels') as BigInt64Array;
    const { data: correct } = goldenFloats(golden, 'macc/correct');
    const { data: isThing } = goldenFloats(golden, 'macc/is_thing');
    for (const kind of ['thing', 'stuff'] as const) {
      const classes = Array.from(
        { length: Number(labels.reduce((a, b) => (a > b ? a : b))) + 1 },
        (_, id) => ({
          id,
          name: `${id}`,
          isThing: kind === 'thing',
        }),
      );
      const tally = new RankTally(classes);
      labels.forEach((label, region) => {
        if (isThing[region]! > 0.5 !== (kind === 'thing')) return;
        const hit = Array.from(correct.subarray(region * 5, region * 5 + 5)).findIndex(value => value > 0.5);
        tally.add(hit < 0 ? 6 : hit + 1, Number(label));
      });
      for (const top of [1, 5] as const)
        assert.equal(tally.meanAccuracy(kind, top), manifest.macc_expected[`x.${kind}.macc${top}`]);
    }
  });

  describe('with the published forward pass', () => {
    const engine = new OnnxRuntimeCpuEngine(1);
    const programs = new ProgramCache(engine);
    let architecture: VisionArchitecture;
    let weights: Map<string, DeviceTensor>;
    let interpolations: PositionInterpolations;
    let report: EvaluationReport;
    let regions: EvaluatedRegion[];

    before(async () => {
      architecture = await goldenArchitecture('eva02');
      weights = await uploadGoldenWeights(engine, 'eva02');
      interpolations = new PositionInterpolations(engine, architecture);
      const tower = new VisionTower(architecture, weights, programs, interpolations);
      const names = data.classes.map(({ name }) => name);
      const words = await readClassEmbeddings(fixturePath('datasets/panoptic_embeddings.npy'), names);
      const identity = { name: 'eva02', path: '', sha256: '', run: null, step: null, epoch: null };
      const model = {
        identity,
        features: new ImageFeatures(engine, tower, clipNormalisation),
        architecture,
        normalisation: clipNormalisation,
        engine: engine.version,
      };
      const request = {
        data,
        folders,
        words,
        wordsSource: 'panoptic_embeddings.npy',
        sizes: [size],
        skipBroken: false,
        report: folder.file('report.json'),
      };
      const hooks = { stopped: () => false, progress: () => undefined };
      report = (await evaluate(soloWorld, model, request, null, hooks))!;
      const lines = await readFile(regionsFileOf(folder.file('report.json')), 'utf8');
      regions = lines
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as EvaluatedRegion);
    });
    after(async () => {
      interpolations.dispose();
      disposeAll(weights.values());
      await programs.dispose();
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
      await engine.dispose();
    });

    it('gives the twelve numbers exactly', () => {
      assert.deepEqual(report.numbers, manifest.eval.metrics);
      assert.equal(Object.keys(report.numbers).length, 12);
    });

    it('names every region as published', () => {
      const labels = values('eval/cls_labels') as BigInt64Array;
      assert.deepEqual(
        regions.map(region => region.class),
        Array.from(labels, Number),
      );
      for (const reading of regionReadings) {
        const hits = goldenFloats(golden, `eval/correct_${reading}`).data;
        regions.forEach(({ readings }, region) => {
          const { rank } = readings[reading]!;
          const expected = Array.from(hits.subarray(region * 5, region * 5 + 5)).findIndex(hit => hit > 0.5);
          assert.equal(rank <= 5 ? rank - 1 : -1, expected, `${reading} of region ${region}`);
        });
      }
    });

    it('finds the same cosines', () => {
      const cosineOf = (region: EvaluatedRegion, reading: RegionReading): number =>
        region.readings[reading]!.trueCosine;
      for (const reading of regionReadings) {
        const expected = goldenFloats(golden, `eval/similarity_${reading}`).data;
        const actual = regions.map(region => cosineOf(region, reading));
        assert.ok(maxAbsDifference(actual, expected) <= 1e-6, `${maxAbsDifference(actual, expected)}`);
      }
    });
  });
});
