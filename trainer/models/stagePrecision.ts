import { inHalfPrecision } from '../graph/halfPrecision.ts';
import { gradientName, type Outputs, upstreamName } from '../graph/split.ts';
import type { VisionStage } from './visionStage.ts';

/**
 * What a tower computes in: `fp16` is mixed precision, in which parameters, pixels and what the tower gives stay float32,
 * and what passes from stage to stage and is kept for the backward pass is float16.
 */
export const precisions = ['fp32', 'fp16'] as const;

export type Precision = (typeof precisions)[number];

/** Bytes of a number that is kept between programs of a tower. */
export const activationBytes = (precision: Precision): number => (precision === 'fp16' ? 2 : 4);

/** A stage with its place in the tower, which decides what of it is float16. */
export interface PlacedStage {
  stage: VisionStage;
  /** Key of its program: the same stage elsewhere may compute with other types. */
  placeKey: string;
  /** The program of the stage, or one of its backward pass, at the tower's precision. */
  atPrecision: (outputs: Outputs) => Outputs;
}

/** The stages of a tower, in order, at a precision. */
export function placeStages(stages: readonly VisionStage[], precision: Precision): PlacedStage[] {
  return stages.map((stage, index) => {
    if (precision === 'fp32') return { stage, placeKey: stage.key, atPrecision: outputs => outputs };
    const [first, last] = [index === 0, index === stages.length - 1];
    const half = new Set([
      ...(first ? [] : ['input', gradientName('input')]),
      ...(last ? [] : ['output', upstreamName('output')]),
    ]);
    return {
      stage,
      placeKey: `${stage.key} fp16${first ? ' first' : ''}${last ? ' last' : ''}`,
      atPrecision: outputs => inHalfPrecision(outputs, name => half.has(name) || name.startsWith('saved/')),
    };
  });
}
