/** How far a transfer is. */
export interface TransferProgress {
  /** Bytes on the disk, those of earlier tries included. */
  received: number;
  total: number;
  bytesPerSecond: number;
  /** 0 while nothing arrives. */
  remainingSeconds: number;
}

/** Milliseconds between two reports. */
const reportEvery = 250;

/** Speed over the latest seconds, and from it the time that is left. */
export class TransferMeter {
  readonly #total: number;
  readonly #progress: ((progress: TransferProgress) => void) | undefined;
  /** Moments of the latest ten seconds, the oldest first. */
  readonly #marks: { time: number; received: number }[];
  #shown = Number.NEGATIVE_INFINITY;

  constructor(total: number, received: number, progress?: (progress: TransferProgress) => void) {
    this.#total = total;
    this.#progress = progress;
    this.#marks = [{ time: performance.now(), received }];
  }

  show(received: number, always = false): void {
    const time = performance.now();
    if (!this.#progress || (!always && time - this.#shown < reportEvery)) return;
    this.#shown = time;
    this.#marks.push({ time, received });
    while (this.#marks.length > 2 && time - this.#marks[0]!.time > 10_000) this.#marks.shift();
    const [oldest] = this.#marks;
    const seconds = Math.max(1e-3, (time - oldest!.time) / 1000);
    const bytesPerSecond = (received - oldest!.received) / seconds;
    const remainingSeconds = bytesPerSecond > 0 ? Math.max(0, this.#total - received) / bytesPerSecond : 0;
    this.#progress({ received, total: this.#total, bytesPerSecond, remainingSeconds });
  }
}
