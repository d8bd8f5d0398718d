import { formatDuration } from '../clock.ts';
import type { RunConfiguration, StepRecord } from '../protocol.ts';

/** `step 12/60  epoch 1  loss 0.4123  lr 1.0e-5  3.2 images/s  512 MiB  0:12 left` */
export function progressLine(
  record: StepRecord,
  { totalSteps }: Pick<RunConfiguration, 'totalSteps'>,
  remainingSeconds: number,
): string {
  return [
    `step ${record.step}/${totalSteps}`,
    `epoch ${record.epoch}`,
    `loss ${record.loss.toFixed(4)}`,
    `lr ${record.lr.toExponential(2)}`,
    `${record.imagesPerSecond.toPrecision(3)} images/s`,
    `${record.memoryMib} MiB`,
    `${formatDuration(remainingSeconds)} left`,
  ].join('  ');
}
