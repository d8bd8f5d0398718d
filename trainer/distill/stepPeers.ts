import type { DeviceTensor } from '../engines/engine.ts';
import type { DistillationBatch } from './regionLoss.ts';
import type { GradientReceiver } from './student.ts';

/** What a loss needs to know of all images of a step: means run over their boxes. */
export type StepImages = Pick<DistillationBatch, 'boxCounts' | 'labels'>;

/** Others that take part in a step with images of their own. */
export interface StepPeers {
  /** All images of the step, in the same order for everybody. */
  gather(own: StepImages): Promise<StepImages>;
  /** The sum of everybody's losses. */
  sumLoss(own: number): Promise<number>;
  /** Takes over a gradient; sums that are complete go to `receive`, in the order of the gradients. */
  add(name: string, gradient: DeviceTensor, receive: GradientReceiver): Promise<void>;
  /** Waits for the sums that are under way. */
  finish(receive: GradientReceiver): Promise<void>;
}
