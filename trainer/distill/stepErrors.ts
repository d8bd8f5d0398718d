import type { Precision } from '../models/stagePrecision.ts';
import type { LossScale } from './lossScale.ts';

/** The loss left the finite numbers; nothing was updated in that step. */
export class NonFiniteLossError extends Error {
  override readonly name = 'NonFiniteLossError';

  constructor(step: number, loss: number, precision: Precision = 'fp32') {
    super(
      `the loss became ${loss} at step ${step}: the weights up to the step before are intact. ` +
        (precision === 'fp16'
          ? 'Activations may be too large for half precision: take --precision fp32 in a new run'
          : 'Lower the learning rate (--lr) or look for a damaged checkpoint'),
    );
  }
}

/** A gradient left the finite numbers; the student's weights in memory are spoilt. */
export class NonFiniteGradientError extends Error {
  override readonly name = 'NonFiniteGradientError';

  constructor(step: number, gradNorm: number) {
    super(
      `the gradient became ${gradNorm} at step ${step}: the last checkpoint is intact. ` +
        'Lower the learning rate (--lr) in a new run',
    );
  }
}

/** Gradients overflow half precision at any scale of the loss; nothing was updated in that step. */
export class LossScaleError extends Error {
  override readonly name = 'LossScaleError';

  constructor(step: number, { skippedSteps }: LossScale) {
    super(
      `the gradients overflow half precision at step ${step} although the loss is no longer scaled (${skippedSteps} steps skipped): ` +
        'take --precision fp32 in a new run',
    );
  }
}
