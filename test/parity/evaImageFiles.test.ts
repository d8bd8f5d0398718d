import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { pixelsToCells, roiAlignRows } from '../../trainer/dense/roiPooling.ts';
import { Distiller } from '../../trainer/distill/distiller.ts';
import { fractionsToPixels, gridCells } from '../../trainer/distill/gridPatches.ts';
import { chosenProposals, fallbackRegion, type ProposalBox } from '../../trainer/distill/proposals.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { disposeAll, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { type DecodedImage, decodeImage } from '../../trainer/images/decode.ts';
import {
  cropImage,
  fitLongestSide,
  type PixelBox,
  studentImage,
  teacherImage,
} from '../../trainer/images/geometry.ts';
import { clipNormalisation, normaliseInto } from '../../trainer/images/normalise.ts';
import type { VisionArchitecture } from '../../trainer/models/architecture.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { goldenArchitecture, modelManifest, pool, uploadGoldenWeights } from '../support/goldenModel.ts';
import { fixturePath, goldenFloats, maxAbsDifference, readGolden } from '../support/goldenTensors.ts';

const model = 'eva02';

describe('CLIPSelf from image files equals the published code', () => {
  const [size, cropSize, maxBoxes, side] = [64, 32, 20, 8] as const;
  const cells = side * side;
  const map = { height: side, width: side };
  const golden = readGolden('datasets/e2e.safetensors');
  const engine = new OnnxRuntimeCpuEngine(1);
  let architecture: VisionArchitecture;

  before(async () => {
    architecture = await goldenArchitecture(model);
  });
  after(async () => {
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    await engine.dispose();
  });

  /** An image with its boxes in pixels of the file, and the boxes of their crops. */
  interface Sample {
    image: DecodedImage;
    boxes: PixelBox[];
    crops: PixelBox[];
  }

  const open = (file: string): Promise<DecodedImage> => decodeImage(fixturePath(`datasets/${file}`));

  /** Every cell of a grid in order: the published data set with its shuffling switched off. */
  async function gridSample(file: string, rows: number, columns: number): Promise<Sample> {
    const image = await open(file);
    const edges = fractionsToPixels(gridCells({ rows, columns }), image.width, image.height);
    const boxes = Array.from(
      { length: rows * columns },
      (_, cell) => [...edges.subarray(cell * 4, cell * 4 + 4)] as unknown as PixelBox,
    );
    return { image, boxes, crops: boxes };
  }

  /** Every annotated box in order: the published data set with its shuffling switched off. */
  async function proposalSamples(): Promise<Sample[]> {
    const { images, annotations } = JSON.parse(
      await readFile(fixturePath('datasets/instances.json'), 'utf8'),
    ) as {
      images: { id: number; file_name: string }[];
      annotations: { image_id: number; bbox: [number, number, number, number] }[];
    };
    return Promise.all(
      images.map(async ({ id, file_name }) => {
        const image = await open(file_name);
        const { width, height } = image;
        const proposals = annotations
          .filter(({ image_id }) => image_id === id)
          .map(({ bbox }): ProposalBox => bbox);
        const order = [...proposals.keys()];
        const chosen = chosenProposals(order, proposals, 1.5, width, height);
        const regions = chosen.length > 0 ? chosen : [fallbackRegion(width, height)];
        return { image, boxes: regions.map(({ box }) => box), crops: regions.map(({ crop }) => crop) };
      }),
    );
  }

  function normalised(images: readonly Uint8Array[]): Float32Array {
    const values = new Float32Array(images.reduce((sum, { length }) => sum + length, 0));
    images.forEach((image, index) => {
      normaliseInto(image, clipNormalisation, values, index * image.length);
    });
    return values;
  }

  function batchOf(samples: readonly Sample[]) {
    const pooling = new Float32Array(samples.length * maxBoxes * cells);
    samples.forEach(({ image, boxes }, index) => {
      const { scale } = fitLongestSide(image.width, image.height, size);
      const cellBoxes = pixelsToCells(Float32Array.from(boxes.flat()), scale, size, map);
      pooling.set(roiAlignRows(cellBoxes, map), index * maxBoxes * cells);
    });
    return {
      images: normalised(samples.map(({ image }) => studentImage(image, size))),
      crops: normalised(
        samples.flatMap(({ image, crops }) =>
          crops.map(box => teacherImage(cropImage(image, box), cropSize)),
        ),
      ),
      boxCounts: samples.map(({ boxes }) => boxes.length),
      pooling,
    };
  }

  const cases: [name: string, samples: () => Promise<Sample[]>][] = [
    ['grid', () => Promise.all([gridSample('a.png', 2, 3), gridSample('b.png', 3, 2)])],
    ['proposals', proposalSamples],
  ];
  for (const [name, samples] of cases) {
    const near = (tensor: string, actual: ArrayLike<number>, tolerance: number): void => {
      const difference = maxAbsDifference(actual, goldenFloats(golden, `${name}/${tensor}`).data);
      assert.ok(difference <= tolerance, `${tensor} differs by ${difference}`);
    };

    it(`gives the features of boxes and crops: ${name}`, async () => {
      const { images, crops, boxCounts, pooling } = batchOf(await samples());
      const weights = await uploadGoldenWeights(engine, model);
      const programs = new ProgramCache(engine);
      const interpolations = new PositionInterpolations(engine, architecture);
      const tower = new VisionTower(architecture, weights, programs, interpolations);
      const width = architecture.embeddingDimension;
      const count = boxCounts.reduce((sum, boxes) => sum + boxes);
      const cropPixels = engine.upload([count, 3, cropSize, cropSize], crops);
      const teacher = await tower.encodeImage(cropPixels);
      near('teacher', await readFloats(engine, teacher), 1e-5);
      const pixels = engine.upload([boxCounts.length, 3, size, size], images);
      const dense = await tower.encodeDense(pixels);
      const features = await readFloats(engine, dense);
      const pooled = boxCounts.flatMap((boxes, image) => {
        const rows = pooling.subarray(image * maxBoxes * cells, (image * maxBoxes + boxes) * cells);
        const own = features.subarray(image * cells * width, (image + 1) * cells * width);
        return [...pool(rows, own, cells, width)];
      });
      near('student_roi', pooled, 2e-6);
      disposeAll([cropPixels, teacher, pixels, dense, ...weights.values()]);
      interpolations.dispose();
      await programs.dispose();
    });

    it(`gives the loss and the norm of the gradients: ${name}`, async () => {
      const weights = await uploadGoldenWeights(engine, model);
      const { hyper } = modelManifest(model).train;
      // The published run had every block unlocked.
      const trainable = trainableNames(architecture, weights.keys(), architecture.layers);
      const distiller = await Distiller.create(engine, architecture, weights, trainable, {
        size,
        cropSize,
        maxBoxes,
        optimiser: { beta1: hyper.beta1, beta2: hyper.beta2, epsilon: hyper.eps, weightDecay: hyper.wd },
        activationBudget: 2 ** 30,
      });
      const { loss, gradNorm } = await distiller.step(batchOf(await samples()), 1, hyper.lr);
      near('loss', [loss], 1e-6);
      near('grad_norm', [gradNorm], 4e-6);
      await distiller.dispose();
    });
  }
});
