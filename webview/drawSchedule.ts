/** Joins what asks for a drawing into one, in a frame of the browser. */
export class DrawSchedule {
  readonly #draw: () => void;
  readonly #interval: number;
  #isDue = false;
  #drawn = Number.NEGATIVE_INFINITY;

  /** @param interval Drawing waits at least this long between two times, in milliseconds. */
  constructor(draw: () => void, interval = 0) {
    this.#draw = draw;
    this.#interval = interval;
  }

  request(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const wait = this.#drawn + this.#interval - performance.now();
    if (wait > 0) setTimeout(() => this.#inNextFrame(), wait);
    else this.#inNextFrame();
  }

  #inNextFrame(): void {
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#drawn = performance.now();
      this.#draw();
    });
  }
}
