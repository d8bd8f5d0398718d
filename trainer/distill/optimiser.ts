import { add, divide, multiply, squareRoot, subtract } from '../graph/operations/arithmetic.ts';
import { total } from '../graph/operations/reduction.ts';
import type { Shape } from '../graph/shape.ts';
import type { Outputs } from '../graph/split.ts';
import { Value } from '../graph/value.ts';
import type { VisionArchitecture } from '../models/architecture.ts';

/** AdamW's constants (Loshchilov & Hutter, 2019). */
export interface AdamWSettings {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
}

/** The published code tells models apart by name: ViTs take these, everything else PyTorch's defaults. */
export const vitAdamW = { beta1: 0.9, beta2: 0.98, epsilon: 1e-6 } as const;

/** What the published code takes for EVA-02, whose names hold no "vit". */
export const evaAdamW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/** The published constants for a family of image towers. */
export const publishedAdamW = (
  kind: VisionArchitecture['kind'],
): Readonly<Pick<AdamWSettings, 'beta1' | 'beta2' | 'epsilon'>> => (kind === 'eva02' ? evaAdamW : vitAdamW);

/** Names of the scalars an update takes, in the order of `adamWScalars`. */
export const adamWScalarNames = ['keep', 'stepSize', 'floor'] as const;

/**
 * Scalars of the update at `step` (from 1), computed in double precision as the original does.
 * With c = √(1 − β₂ᵗ): `keep` = 1 − lr · decay; `stepSize` = lr · c / (1 − β₁ᵗ); `floor` = ε · c.
 */
export function adamWScalars(
  settings: AdamWSettings,
  learningRate: number,
  step: number,
): Record<(typeof adamWScalarNames)[number], number> {
  const correction = Math.sqrt(1 - settings.beta2 ** step);
  return {
    keep: 1 - learningRate * settings.weightDecay,
    stepSize: (learningRate * correction) / (1 - settings.beta1 ** step),
    floor: settings.epsilon * correction,
  };
}

/**
 * One AdamW update of one parameter, decoupled decay first:
 * p ← keep·p;  m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  p ← p − stepSize · m / (√v + floor).
 *
 * The bias correction of √v stands in the scalars, which saves a pass over the tensor.
 *
 * Inputs `parameter`, `gradient`, `firstMoment`, `secondMoment` of `shape`, the scalars, and `squaredNorm`; outputs
 * the new three and `squaredNorm` plus this gradient's squared norm, so that one number is read after all updates.
 *
 * @param scaled whether gradients are those of a scaled loss: each is multiplied by the scalar `unscale` first.
 */
export function adamWUpdate(
  shape: Shape,
  { beta1, beta2 }: AdamWSettings,
  decays: boolean,
  scaled = false,
): Outputs {
  const parameter = Value.input('parameter', shape);
  const given = Value.input('gradient', shape);
  const gradient = scaled ? multiply(given, Value.input('unscale', [])) : given;
  const [stepSize, floor] = [Value.input('stepSize', []), Value.input('floor', [])];
  const scale = (value: Value, factor: number): Value => multiply(value, Value.constant(factor));

  const squaredGradient = multiply(gradient, gradient);
  const firstMoment = add(scale(Value.input('firstMoment', shape), beta1), scale(gradient, 1 - beta1));
  const secondMoment = add(
    scale(Value.input('secondMoment', shape), beta2),
    scale(squaredGradient, 1 - beta2),
  );
  const denominator = add(squareRoot(secondMoment), floor);
  const kept = decays ? multiply(parameter, Value.input('keep', [])) : parameter;
  return {
    parameter: subtract(kept, multiply(stepSize, divide(firstMoment, denominator))),
    firstMoment,
    secondMoment,
    squaredNorm: add(Value.input('squaredNorm', []), total(squaredGradient)),
  };
}

/** Weight decay spares vectors, scalars, and whatever is named after a norm, a bias or the temperature. */
export const decaysWeight = (name: string, shape: Shape): boolean =>
  shape.length >= 2 && !['bn', 'ln', 'bias', 'logit_scale'].some(part => name.includes(part));

/** Linear warm-up, then half a cosine to 0. `step` counts from 0; the learning rate is set before the step. */
export function learningRateAt(step: number, base: number, warmup: number, totalSteps: number): number {
  if (step < warmup) return (base * (step + 1)) / warmup;
  return 0.5 * (1 + Math.cos((Math.PI * (step - warmup)) / (totalSteps - warmup))) * base;
}
