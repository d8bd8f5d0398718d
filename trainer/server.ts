import type { StopResult, TrainerStatus } from './protocol.ts';
import { type ControlServer, startControlServer } from './runs/controlServer.ts';

/** What the control pipe can see of a trainer that is at work. */
export interface ServedTrainer {
  directory: string;
  totalSteps: number;
  /** Completed steps. */
  step(): number;
}

/**
 * Milliseconds within which signals count as one: a terminal's Ctrl-C reaches the trainer itself and, when npm runs
 * it, a second time from there.
 */
const sameWish = 1000;

/**
 * A wish to stop, from the control pipe or a signal. The trainer looks at `requested` between steps; a second signal
 * a while after the first ends the process at once, as a terminal user expects.
 */
export class StopSwitch {
  #requested = false;
  /** When the first signal came, by the monotonic clock. */
  #signalled: number | null = null;
  readonly #signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];
  readonly #onSignal = (): void => {
    const now = performance.now();
    if (this.#signalled !== null && now - this.#signalled > sameWish) process.exit(130);
    this.#signalled ??= now;
    this.request();
  };

  /** @param more Signals that mean the same, such as those that a launcher passes on to all of its processes. */
  constructor(more: readonly NodeJS.Signals[] = []) {
    this.#signals.push(...more);
  }

  get requested(): boolean {
    return this.#requested;
  }

  request(): void {
    this.#requested = true;
  }

  /** Takes signals over; closing the terminal does not end a run. Dispose of it to give them back. */
  listen(): { dispose: () => void } {
    const ignore = (): void => undefined;
    for (const signal of this.#signals) process.on(signal, this.#onSignal);
    process.on('SIGHUP', ignore);
    const dispose = (): void => {
      for (const signal of this.#signals) process.off(signal, this.#onSignal);
      process.off('SIGHUP', ignore);
    };
    return { dispose };
  }
}

/** Answers `run/stop` and `run/status` for a trainer on its control pipe. */
export function serveTrainer(pipe: string, trainer: ServedTrainer, stop: StopSwitch): Promise<ControlServer> {
  const status = (): TrainerStatus => ({
    directory: trainer.directory,
    pid: process.pid,
    step: trainer.step(),
    totalSteps: trainer.totalSteps,
    stopping: stop.requested,
  });
  const requestStop = (): StopResult => {
    stop.request();
    return { afterStep: Math.min(trainer.step() + 1, trainer.totalSteps) };
  };
  return startControlServer(pipe, { status, stop: requestStop });
}
