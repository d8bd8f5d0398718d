import type { ClipVitArchitecture, Eva02Architecture } from '../models/architecture.ts';
import type { ActivationPlan } from './activationPlan.ts';

/** What the memory of a training run depends on. */
export interface MemoryUse {
  architecture: ClipVitArchitecture | Eva02Architecture;
  /** Parameters of the image tower, and of those the ones that train. */
  parameters: { total: number; trainable: number };
  /** Side of the student image and of a teacher crop, pixels. */
  size: number;
  cropSize: number;
  /** Images that go through the student together, and boxes of one image. */
  images: number;
  maxBoxes: number;
}

const floatBytes = 4;
const gib = 2 ** 30;

/** Node, ONNX Runtime, the image workers, and tensors that wait between uses: measured at 1024 px with 20 crops. */
const processBytes = 1.4 * gib;

/**
 * Bytes a run takes whatever it keeps of the forward pass: parameters of the frozen teacher, of the student and both
 * moments; the blocks' inputs; and what the program at work holds, a few of the widest tensors. An estimate, checked
 * against measurements in docs/benchmarks.md.
 */
export function bytesBesideActivations(use: MemoryUse): number {
  const { architecture, parameters, size, cropSize, images, maxBoxes } = use;
  const { width, mlpWidth, layers, patchSize } = architecture;
  const tokensOf = (side: number): number => 1 + Math.floor(side / patchSize) ** 2;
  const studentTokens = images * tokensOf(size);
  const cropTokens = images * maxBoxes * tokensOf(cropSize);
  const weights = parameters.total + 3 * parameters.trainable;
  const inputs = layers * studentTokens * width;
  const atWork = 8 * mlpWidth * studentTokens + 4 * mlpWidth * cropTokens;
  return processBytes + floatBytes * (weights + inputs + atWork);
}

/** Bytes of activations that a run may keep for its backward pass; 0 when the budget is used up without them. */
export const activationBudget = (memoryBudget: number, use: MemoryUse): number =>
  Math.max(0, memoryBudget - bytesBesideActivations(use));

/** The plan and its reason in a line for the log. */
export function describeMemoryPlan(plan: ActivationPlan, memoryBudget: number, use: MemoryUse): string {
  const gibOf = (bytes: number): string => `${(bytes / gib).toFixed(1)} GiB`;
  const { keep, compact, recompute } = plan.counts;
  const parts = [
    ...(keep > 0 ? [`${keep} stages keep their activations`] : []),
    ...(compact > 0 ? [`${compact} keep all but attention weights`] : []),
    ...(recompute > 0 ? [`${recompute} compute theirs again`] : []),
  ];
  const fixed = bytesBesideActivations(use);
  const beyond = fixed > memoryBudget ? ', which is more than the budget' : '';
  return (
    `memory budget ${gibOf(memoryBudget)}: about ${gibOf(fixed)} for weights, optimiser and the program at work${beyond}; ` +
    `${gibOf(plan.keptBytes)} of activations kept: ${parts.join(', ')}`
  );
}
