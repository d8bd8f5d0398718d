import { type DeviceTensor, disposeAll } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import type { AdamW } from './adamW.ts';
import { GradientSum } from './gradientSum.ts';
import type { LossScale } from './lossScale.ts';
import { NonFiniteGradientError } from './stepErrors.ts';
import type { StepPeers } from './stepPeers.ts';
import type { GradientReceiver } from './student.ts';

export interface StepUpdateSettings {
  /** From 1. */
  step: number;
  learningRate: number;
  /** A parameter may get more than one gradient: those of several passes, or of several losses. */
  several: boolean;
  /** Null where the loss is not scaled. */
  lossScale: LossScale | null;
  /** Null when this process has the whole step. */
  peers: StepPeers | null;
}

/**
 * The way of one step's gradients to the optimiser. Those of several passes add up, then those of all ranks, and of a
 * scaled loss they wait until all are known to be finite. Where nothing of that is asked for, each updates its parameter
 * at once and is freed.
 */
export class StepUpdate {
  readonly #optimiser: AdamW;
  readonly #settings: StepUpdateSettings;
  readonly #sum: GradientSum;
  /** Of a scaled loss: sums that wait for the verdict. */
  readonly #held = new Map<string, DeviceTensor>();
  #begun = false;

  constructor(optimiser: AdamW, programs: ProgramCache, settings: StepUpdateSettings) {
    this.#optimiser = optimiser;
    this.#settings = settings;
    this.#sum = new GradientSum(programs);
  }

  /** Receives gradients to which others of the same parameters are still to be added. */
  get early(): GradientReceiver {
    return this.#sum.add;
  }

  /** Receives the only or last gradient of each parameter. */
  get last(): GradientReceiver {
    return this.#settings.several ? this.#sum.addLast(this.#share) : this.#share;
  }

  /** All gradients of this process have come: waits for those of the others. */
  async gather(): Promise<void> {
    // Parameters that the last pass does not reach.
    await this.#sum.deliver(this.#share);
    await this.#settings.peers?.finish(this.#summed);
  }

  /** Whether every gradient is finite; asked of a scaled loss, after `gather`. */
  areFinite({ scale }: LossScale): Promise<boolean> {
    return this.#optimiser.areFinite(this.#held, scale);
  }

  /**
   * Updates what has not been updated yet.
   *
   * @returns the global L2 norm of the gradients.
   * @throws NonFiniteGradientError when it is no number; parameters are spoilt.
   */
  async finish(): Promise<number> {
    for (const [name, gradient] of this.#held) {
      this.#held.delete(name);
      await this.#apply(name, gradient);
    }
    const gradNorm = await this.#optimiser.end();
    if (!Number.isFinite(gradNorm)) throw new NonFiniteGradientError(this.#settings.step, gradNorm);
    return gradNorm;
  }

  dispose(): void {
    this.#sum.dispose();
    disposeAll(this.#held.values());
  }

  readonly #share: GradientReceiver = (name, gradient) => {
    const { peers } = this.#settings;
    return peers ? peers.add(name, gradient, this.#summed) : this.#summed(name, gradient);
  };

  readonly #summed: GradientReceiver = async (name, gradient) => {
    if (this.#settings.lossScale) this.#held.set(name, gradient);
    else await this.#apply(name, gradient);
  };

  async #apply(name: string, gradient: DeviceTensor): Promise<void> {
    const { step, learningRate, lossScale } = this.#settings;
    // Not before: a loss that is no number leaves everything as it was. As GradScaler does it, steps that were skipped
    // are none for the optimiser.
    if (!this.#begun)
      this.#optimiser.begin(step - (lossScale?.skippedSteps ?? 0), learningRate, lossScale?.scale);
    this.#begun = true;
    await this.#optimiser.apply(name, gradient);
  }
}
