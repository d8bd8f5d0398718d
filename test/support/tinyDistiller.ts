import { roiAlignRows } from '../../trainer/dense/roiPooling.ts';
import { Distiller, type DistillerSettings } from '../../trainer/distill/distiller.ts';
import { vitAdamW } from '../../trainer/distill/optimiser.ts';
import type { DistillationBatch } from '../../trainer/distill/regionLoss.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import type { Precision } from '../../trainer/models/stagePrecision.ts';
import { randomWeights, uniform } from './randomTower.ts';
import { tinyArchitecture } from './trainingFixture.ts';

const size = 32;
const maxBoxes = 3;

/** A distiller of a tiny random tower; two images a batch. */
export async function createTinyDistiller(
  engine: Engine,
  activationBudget = 2 ** 30,
  precision: Precision = 'fp32',
  more: Partial<DistillerSettings> = {},
): Promise<Distiller> {
  const weights = randomWeights(engine, tinyArchitecture);
  const trainable = trainableNames(tinyArchitecture, weights.keys(), tinyArchitecture.layers);
  return Distiller.create(engine, tinyArchitecture, weights, trainable, {
    size,
    cropSize: tinyArchitecture.imageSize,
    maxBoxes,
    optimiser: { ...vitAdamW, weightDecay: 0.1 },
    activationBudget,
    precision,
    ...more,
  });
}

/** Two images with three boxes and one. */
export function tinyBatch(): DistillationBatch {
  const side = size / tinyArchitecture.patchSize;
  const grid = { height: side, width: side };
  const tokens = side * side;
  const pooling = new Float32Array(2 * maxBoxes * tokens);
  pooling.set(roiAlignRows(Float32Array.of(0, 0, 2, 2, 2, 0, 4, 3, 0, 1, 4, 4), grid));
  pooling.set(roiAlignRows(Float32Array.of(1, 1, 3, 3), grid), maxBoxes * tokens);
  const crop = 3 * tinyArchitecture.imageSize ** 2;
  return {
    images: uniform(2 * 3 * size * size, 2, 1),
    crops: uniform(4 * crop, 2, 2),
    boxCounts: [3, 1],
    pooling,
  };
}
