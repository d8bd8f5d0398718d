/** What a step over many ranks costs, on paper. Bytes, seconds and bytes a second throughout; no measurement in here but what is passed in. */
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import {
  type ClipVitArchitecture,
  type Eva02Architecture,
  visionTensorShapes,
} from '../../trainer/models/architecture.ts';

export interface Network {
  name: string;
  /** Bytes a second that a machine sends, and receives at the same time. */
  bandwidth: number;
  /** Seconds from the sending of a short message to its arrival. */
  delay: number;
}

/** How the sums of all ranks come about. */
export type Reduction = 'ring' | 'tree';

/**
 * Seconds of an all-reduce of `bytes` over `ranks`, at most one rank's traffic on a machine's link.
 *
 * Ring: `2 (p − 1)` messages of `bytes / p` follow one another (Patarasuk and Yuan, 2009). Tree: two binary trees that each
 * carry half, pipelined, so that the depth costs delays alone and every rank sends the bytes up and down once (Sanders,
 * Speck and Träff, 2009).
 */
export function allReduceSeconds(
  kind: Reduction,
  bytes: number,
  ranks: number,
  { bandwidth, delay }: Network,
): number {
  if (ranks === 1) return 0;
  if (kind === 'ring') return 2 * (ranks - 1) * (delay + bytes / ranks / bandwidth);
  return 2 * Math.ceil(Math.log2(ranks)) * delay + (2 * bytes) / bandwidth;
}

/** Bytes that one rank sends in an all-reduce: the same for every rank of a ring; the most of any in a tree. */
export const sentBytes = (kind: Reduction, bytes: number, ranks: number): number =>
  ranks === 1 ? 0 : kind === 'ring' ? (2 * bytes * (ranks - 1)) / ranks : 2 * bytes;

export interface StepModel {
  /** Floating-point operations of a rank's images, and the share of them in the student's backward pass. */
  work: number;
  backwardShare: number;
  /** Gradients of a step as float32. */
  gradientBytes: number;
}

/** Two operations for each multiplication of a block's matrix products over `tokens` tokens. */
export function blockWork({ width, mlpWidth }: { width: number; mlpWidth: number }, tokens: number): number {
  const products = 4 * width * width + 2 * width * mlpWidth;
  return 2 * tokens * products + 4 * tokens * tokens * width;
}

/** Operations of the blocks of a tower on one square image. */
const towerWork = (architecture: ClipVitArchitecture | Eva02Architecture, size: number): number =>
  architecture.layers * blockWork(architecture, Math.floor(size / architecture.patchSize) ** 2 + 1);

export interface StepSettings {
  /** Side of the student image in pixels. */
  size: number;
  /** Crops of an image, which the teacher embeds at its own size. */
  crops: number;
  imagesPerRank: number;
  unlockedBlocks: number;
}

/** A backward pass costs twice the forward pass; the teacher has none. */
export function stepModel(
  architecture: ClipVitArchitecture | Eva02Architecture,
  settings: StepSettings,
): StepModel {
  const { size, crops, imagesPerRank, unlockedBlocks } = settings;
  const student = towerWork(architecture, size);
  const backward = 2 * student * Math.min(1, unlockedBlocks / architecture.layers);
  const teacher = crops * towerWork(architecture, architecture.imageSize);
  const image = student + backward + teacher;
  const shapes = visionTensorShapes(architecture);
  const numbers = trainableNames(architecture, shapes.keys(), unlockedBlocks)
    .map(name => shapes.get(name)!.reduce((product, length) => product * length, 1))
    .reduce((sum, size) => sum + size, 0);
  return { work: imagesPerRank * image, backwardShare: backward / image, gradientBytes: 4 * numbers };
}

export interface Machine {
  /** Operations a second that a rank reaches in a step. */
  rate: number;
  /** Bytes a second between card and host, each way, which every gradient crosses twice. */
  hostBandwidth: number;
}

export interface Plan {
  reduction: Reduction;
  /** Bytes of a number on the network: 4 for float32, 2 for bfloat16. */
  numberBytes: 2 | 4;
  /** Batches that add up to a step before gradients are exchanged. */
  accumulate: number;
  bucketBytes: number;
}

export interface StepTime {
  compute: number;
  /** All of the exchange, and what of it the backward pass does not hide. */
  exchange: number;
  exposed: number;
  /** Share of the step in which a rank computes. */
  efficiency: number;
}

/**
 * A step of one rank among `ranks`. Buckets travel while the backward pass of the last batch goes on, all but the last bucket:
 * it is complete when there is nothing left to compute.
 */
export function stepTime(
  step: StepModel,
  ranks: number,
  network: Network,
  machine: Machine,
  plan: Plan,
): StepTime {
  const compute = (plan.accumulate * step.work) / machine.rate;
  const bytes = (step.gradientBytes * plan.numberBytes) / 4;
  const buckets = Math.max(1, Math.ceil(bytes / plan.bucketBytes));
  const bucket = allReduceSeconds(plan.reduction, bytes / buckets, ranks, network);
  const copies = ranks === 1 ? 0 : (2 * step.gradientBytes) / machine.hostBandwidth;
  const exchange = buckets * bucket + copies;
  const backward = (step.backwardShare * step.work) / machine.rate;
  const exposed = Math.max(exchange - backward, ranks === 1 ? 0 : bucket + copies / buckets);
  return { compute, exchange, exposed, efficiency: compute / (compute + exposed) };
}
