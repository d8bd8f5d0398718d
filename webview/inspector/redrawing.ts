/**
 * Another image, and what the view asks for, mostly come within this time, in milliseconds: a frame without them, which
 * would be painted just before, costs as much as the wait.
 */
const ANSWER_DELAY = 100;

/** When the columns are drawn: in the next frame, or a little later where an answer is to come. */
export class Redrawing {
  readonly #draw: () => void;
  #frame: number | null = null;
  #delay: ReturnType<typeof setTimeout> | null = null;

  constructor(draw: () => void) {
    this.#draw = draw;
  }

  soon(): void {
    this.#stopWaiting();
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.#draw();
    });
  }

  /** Draws a little later, unless there is a reason to draw before. */
  later(): void {
    this.#stopWaiting();
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#frame = null;
    this.#delay = setTimeout(() => this.soon(), ANSWER_DELAY);
  }

  #stopWaiting(): void {
    if (this.#delay !== null) clearTimeout(this.#delay);
    this.#delay = null;
  }
}
