/**
 * A dynamic loss scale (Micikevicius et al., ICLR 2018), with the constants of PyTorch's GradScaler, which the published
 * code uses: gradients of half precision vanish below 6e-8 and overflow beyond 65504, so the loss is multiplied by a power of
 * two that is as large as it can be.
 */
export interface LossScale {
  scale: number;
  /** Steps since the scale last changed. */
  goodSteps: number;
  /** Steps that overflowed and changed nothing, since the run began. */
  skippedSteps: number;
}

export const initialLossScale: LossScale = { scale: 65536, goodSteps: 0, skippedSteps: 0 };

/** Steps without an overflow after which the scale doubles. */
export const growthInterval = 2000;

/** Below it the gradients themselves are too large for half precision, whatever the scale. */
const smallestScale = 1;

/** The state after a step whose gradients were all finite, or were not. */
export function nextLossScale({ scale, goodSteps, skippedSteps }: LossScale, finite: boolean): LossScale {
  if (!finite) return { scale: scale / 2, goodSteps: 0, skippedSteps: skippedSteps + 1 };
  return goodSteps + 1 === growthInterval
    ? { scale: 2 * scale, goodSteps: 0, skippedSteps }
    : { scale, goodSteps: goodSteps + 1, skippedSteps };
}

/** Whether halving has come to its end: the numbers themselves leave the range of half precision. */
export const isExhausted = ({ scale }: LossScale): boolean => scale < smallestScale;
