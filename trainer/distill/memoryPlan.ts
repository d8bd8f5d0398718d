import type { ClipVitArchitecture, Eva02Architecture } from '../models/architecture.ts';
import type { ActivationPlan } from './activationPlan.ts';

/** The settings that the side of the student image comes from. */
export type SizeOption = '--size' | '--multiscale';

/** What the memory of a training run depends on. */
export interface MemoryUse {
  architecture: ClipVitArchitecture | Eva02Architecture;
  /** Parameters of the image tower, and of those the ones that train. */
  parameters: { total: number; trainable: number };
  /** Side of the student image and of a teacher crop, pixels. */
  size: number;
  cropSize: number;
  /** The setting that lowers `size`. */
  sizeOption: SizeOption;
  /** Images that go through the student together, and boxes of one image. */
  images: number;
  maxBoxes: number;
  /** Gradients of all parameters wait for one another: those of several passes, of other ranks, or of a scaled loss. */
  gradientsWait: boolean;
  /** Bytes of the teacher's embeddings that are kept from step to step. */
  embeddingBytes: number;
  /** Programs share the memory that is free, see `Engine.sharesMemory`. */
  memoryShared: boolean;
}

const floatBytes = 4;
const gib = 2 ** 30;

/**
 * Node, ONNX Runtime, the image workers, tensors that wait between uses, and what programs keep for themselves: measured
 * at 1024 px with up to 20 crops, over two epochs with their checkpoints.
 */
const processBytes = { shared: 1.9 * gib, apart: 2.3 * gib };

/**
 * Bytes a run takes whatever it keeps of the forward pass: parameters of the frozen teacher, of the student and both
 * moments; gradients and embeddings that wait; the blocks' inputs; and what the program at work holds, a few of the widest
 * tensors. An estimate, checked against measurements in docs/benchmarks.md.
 */
export function bytesBesideActivations(use: MemoryUse): number {
  const { architecture, parameters, size, cropSize, images, maxBoxes, gradientsWait, embeddingBytes } = use;
  const ofProcess = use.memoryShared ? processBytes.shared : processBytes.apart;
  const { width, mlpWidth, layers, patchSize } = architecture;
  const tokensOf = (side: number): number => 1 + Math.floor(side / patchSize) ** 2;
  const studentTokens = images * tokensOf(size);
  const cropTokens = images * maxBoxes * tokensOf(cropSize);
  const weights = parameters.total + (gradientsWait ? 4 : 3) * parameters.trainable;
  const inputs = layers * studentTokens * width;
  const atWork = 8 * mlpWidth * studentTokens + 4 * mlpWidth * cropTokens;
  return ofProcess + embeddingBytes + floatBytes * (weights + inputs + atWork);
}

/** Bytes of activations that a run may keep for its backward pass; 0 when the budget is used up without them. */
export const activationBudget = (memoryBudget: number, use: MemoryUse): number =>
  Math.max(0, memoryBudget - bytesBesideActivations(use));

/** The plan and its reason in a line for the log. */
export function describeMemoryPlan(plan: ActivationPlan, memoryBudget: number, use: MemoryUse): string {
  const { images, size, sizeOption } = use;
  const gibOf = (bytes: number): string => `${(bytes / gib).toFixed(1)} GiB`;
  const { keep, compact, recompute } = plan.counts;
  const does = (count: number, verb: string, what: string): string[] =>
    count > 0 ? [`${count} ${verb}${count === 1 ? 's' : ''} ${what}`] : [];
  const stages = [
    ...does(keep, 'keep', 'all that saves time'),
    ...does(compact, 'keep', 'all but attention weights'),
    ...does(recompute, 'compute', 'everything again'),
  ];
  const fixed = bytesBesideActivations(use);
  const left =
    fixed > memoryBudget
      ? `is more than the budget (lower ${sizeOption} or --batch, or raise --memory-budget) and leaves nothing`
      : `leaves ${gibOf(memoryBudget - fixed)}`;
  return (
    `memory budget ${gibOf(memoryBudget)}: about ${gibOf(fixed)} for ${contents(use)}, which ${left} for activations of ` +
    `${images === 1 ? '1 image' : `${images} images`} of ${size} px; ` +
    `of ${keep + compact + recompute} stages ${stages.join(', ')}: ${gibOf(plan.keptBytes)}`
  );
}

/** What takes memory beside activations, in words. */
function contents({ gradientsWait, embeddingBytes }: MemoryUse): string {
  const more = [
    ...(gradientsWait ? ['gradients that wait'] : []),
    ...(embeddingBytes > 0 ? ["the teacher's embeddings"] : []),
  ];
  return `${['weights', 'optimiser', ...more].join(', ')} and the program at work`;
}
