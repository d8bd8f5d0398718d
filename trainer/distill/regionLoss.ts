import type { Value } from '../graph/value.ts';
import type { Loss } from './lossPrograms.ts';
import type { StepImages } from './stepPeers.ts';

/** Regions whose crops the teacher sees once. */
export interface KeptCrops {
  /** Place of each region among those whose embedding is kept, [K]; −1 where it is not. */
  regions: readonly number[];
  /** Place of each region's crop among the batch's, [K]; −1 where an earlier batch brought it. */
  cropOf: readonly number[];
}

/** Images, crops and boxes of one step on the host. */
export interface DistillationBatch {
  /** Student images [B, 3, S, S], normalised. */
  images: Float32Array;
  /** S in pixels; left out where it is the distiller's. */
  size?: number;
  /** Teacher crops [K, 3, c, c], image after image; empty where regions have nouns instead, fewer where some are kept. */
  crops: Float32Array;
  /** Where embeddings of crops are kept. */
  kept?: KeptCrops | null;
  /** Boxes of each image; their sum is K. */
  boxCounts: readonly number[];
  /** [B, maxBoxes, tokens], RoIAlign rows; zero beyond an image's count. */
  pooling: Float32Array;
  /** Position of each box's class among the nouns, [K]; for region–noun pairs alone. */
  labels?: readonly number[];
  /** Whole images in the teacher's geometry [B, 3, c, c]; for retention alone. */
  wholes?: Float32Array;
}

/** Sizes of the graph of a loss over regions. */
export interface RegionShape {
  /** Images of one pass. */
  batch: number;
  /** Patches down × across of each student image. */
  tokens: number;
  /** Rows reserved for the boxes of one image. */
  maxBoxes: number;
  /** D, length of an embedding. */
  embeddingDimension: number;
}

/** Outputs of a loss over regions: a scalar, and [batch, maxBoxes] cosines of regions with what they are to match. */
export interface LossGraph {
  loss: Value;
  cosines: Value;
}

/** A loss over regions ready to run; the student's output is its dense features. */
export interface RegionLoss extends Loss {
  studentInput: 'dense';
  graph: () => LossGraph;
}

/** What pooled features are compared with: crops as the teacher sees them, or nouns. */
export interface RegionTargets {
  /**
   * @param part The images of one pass.
   * @param whole All images of the step: means run over its boxes.
   * @param step From 1.
   */
  lossOf(part: DistillationBatch, whole: StepImages, shape: RegionShape, step: number): Promise<RegionLoss>;
}

export const boxesOf = ({ boxCounts }: Pick<DistillationBatch, 'boxCounts'>): number =>
  boxCounts.reduce((sum, count) => sum + count, 0);

/** [batch, maxBoxes]: `weight` in rows that hold a box, 0 in the others. */
export function boxWeights(
  { boxCounts }: Pick<DistillationBatch, 'boxCounts'>,
  maxBoxes: number,
  weight: number,
): Float32Array {
  const weights = new Float32Array(boxCounts.length * maxBoxes);
  boxCounts.forEach((count, image) => {
    weights.fill(weight, image * maxBoxes, image * maxBoxes + count);
  });
  return weights;
}
