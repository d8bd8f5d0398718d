/** Something that holds a resource until it is disposed of; structurally VS Code's `Disposable`. */
export interface Disposable {
  dispose(): void;
}

/** A list of listeners. VS Code's own emitter is not used so that what fires events runs without the host. */
export class Emitter<T> implements Disposable {
  readonly #listeners = new Set<(value: T) => void>();

  /** Registers a listener; disposing of the result removes it. */
  readonly event = (listener: (value: T) => void): Disposable => {
    // A wrapper of its own, so that the same function registered twice is heard twice and removed once.
    const entry = (value: T) => listener(value);
    this.#listeners.add(entry);
    return { dispose: () => void this.#listeners.delete(entry) };
  };

  fire(value: T): void {
    for (const listener of [...this.#listeners]) listener(value);
  }

  dispose(): void {
    this.#listeners.clear();
  }
}
