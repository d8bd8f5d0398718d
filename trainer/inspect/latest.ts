/** Values by key, the least recently used forgotten beyond `capacity`; the latest one stays whatever it weighs. */
export class Latest<T> {
  readonly #capacity: number;
  readonly #weigh: (value: T) => number;
  /** In order of last use; a Map keeps insertion order. */
  readonly #values = new Map<string, T>();

  /** @param weigh What a value takes of the capacity; each takes 1 without it. */
  constructor(capacity: number, weigh: (value: T) => number = () => 1) {
    this.#capacity = capacity;
    this.#weigh = weigh;
  }

  get(key: string): T | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  set(key: string, value: T): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    let weight = 0;
    for (const [other, kept] of [...this.#values].reverse()) {
      weight += this.#weigh(kept);
      if (weight > this.#capacity && other !== key) this.#values.delete(other);
    }
  }
}
