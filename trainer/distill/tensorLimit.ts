import { byteLengthOf } from '../engines/engine.ts';
import { EngineError } from '../engines/engineError.ts';
import { describeTensor, largestTensor, mebibytes } from '../engines/largestTensor.ts';
import type { Outputs } from '../graph/split.ts';
import type { Value } from '../graph/value.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { Precision } from '../models/stagePrecision.ts';
import type { ImageBatch } from '../models/visionStage.ts';
import { denseStages, imageStages } from '../models/visionStages.ts';
import { imageBatchOf } from '../models/visionTower.ts';
import { planActivations } from './activationPlan.ts';
import type { SizeOption } from './memoryPlan.ts';

/** What is to go through the towers at once. */
export interface PassRequest {
  architecture: VisionArchitecture;
  /** Checkpoint names of the parameters that train. */
  trainable: ReadonlySet<string>;
  precision: Precision;
  /** Side of the student image and of a teacher crop, pixels. */
  size: number;
  cropSize: number;
  /** The setting that lowers `size`. */
  sizeOption: SizeOption;
  /** Images of a pass, and boxes of one image. */
  images: number;
  maxBoxes: number;
}

export interface PassSizes {
  /** Images that go through the student together. */
  imagesPerPass: number;
  /** Crops that go through the teacher together. */
  cropsAtOnce: number;
}

/**
 * Cuts passes so that no tensor is larger than an engine allows. Gradients of passes add up to those of the whole, and
 * the teacher sees each crop alone, so nothing but rounding depends on it.
 *
 * @param limit bytes of one tensor.
 * @throws EngineError naming the tensor when not even one image, or one crop, fits.
 */
export function fitPasses(request: PassRequest, limit: number): PassSizes {
  const { architecture, trainable, precision, size, cropSize, sizeOption, images, maxBoxes } = request;
  const batchOf = (count: number, side: number): ImageBatch =>
    imageBatchOf(architecture, { shape: [count, 3, side, side] });
  const studentPrograms = (count: number): Outputs[] => {
    // What computes everything again has the tensors of both passes in one program.
    const plan = planActivations(denseStages(architecture, batchOf(count, size)), trainable, 0, precision);
    return plan.stages.map(({ stage, split, atPrecision }) =>
      atPrecision(split?.backward ?? { output: stage.output }),
    );
  };
  const teacherPrograms = (count: number): Outputs[] =>
    imageStages(architecture, batchOf(count, cropSize)).map(({ output }) => ({ output }));
  return {
    imagesPerPass: mostThatFit(images, limit, studentPrograms, `lower ${sizeOption}, or take`),
    cropsAtOnce: mostThatFit(images * maxBoxes, limit, teacherPrograms, 'take'),
  };
}

function mostThatFit(
  most: number,
  limit: number,
  programsOf: (count: number) => Outputs[],
  advice: string,
): number {
  for (let count = most; ; ) {
    const largest = largestOf(programsOf(count));
    const bytes = byteLengthOf(largest);
    if (bytes <= limit) return count;
    if (count === 1)
      throw new EngineError(
        `the ${describeTensor(largest)}, more than the ${mebibytes(limit)} that the graphics card allows a tensor: ${advice} --engine cpu`,
      );
    count = Math.max(1, Math.min(count - 1, Math.floor((count * limit) / bytes)));
  }
}

const largestOf = (programs: readonly Outputs[]): Value =>
  programs
    .map(largestTensor)
    .reduce((most, value) => (byteLengthOf(value) > byteLengthOf(most) ? value : most));
