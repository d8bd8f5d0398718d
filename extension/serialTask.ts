/**
 * Runs an asynchronous task one at a time. Requests that come while it runs are joined into one further run, so that a
 * burst of file events costs two passes, and whoever awaits sees a pass that began after the request.
 */
export class SerialTask {
  readonly #task: () => Promise<void>;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(task: () => Promise<void>) {
    this.#task = task;
  }

  run(): Promise<void> {
    if (this.#running === null) {
      this.#running = this.#task().finally(() => {
        this.#running = null;
      });
      return this.#running;
    }
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = null;
        return this.run();
      });
    return this.#next;
  }
}
