import type { RunConfiguration, StepRecord } from '../protocol.ts';

/** Steps that an estimate of the remaining time looks back on. */
const window = 20;

/** Estimates the remaining time from the latest steps. */
export class StepClock {
  readonly #totalSteps: number;
  readonly #seconds: number[] = [];

  constructor(totalSteps: number) {
    this.#totalSteps = totalSteps;
  }

  add(seconds: number): void {
    this.#seconds.push(seconds);
    if (this.#seconds.length > window) this.#seconds.shift();
  }

  remainingSeconds(step: number): number {
    const mean = this.#seconds.reduce((sum, seconds) => sum + seconds, 0) / Math.max(1, this.#seconds.length);
    return mean * (this.#totalSteps - step);
  }
}

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

/** `0:12`, `3:07`, `1:02:09`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const twoDigits = (value: number): string => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${twoDigits(minutes)}:${twoDigits(rest)}` : `${minutes}:${twoDigits(rest)}`;
}
