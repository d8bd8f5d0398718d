type NumberArray = Float64Array | Uint32Array;

/** A list of numbers that grows in a typed array: 4 or 8 bytes an entry however long it becomes. */
export class NumberColumn {
  #values: NumberArray;
  #length = 0;

  constructor(kind: typeof Float64Array | typeof Uint32Array) {
    this.#values = new kind(1024);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const kind = this.#values.constructor as new (length: number) => NumberArray;
      const larger = new kind(this.#length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  /** Entry `index`, which must be below `length`. */
  at(index: number): number {
    return this.#values[index]!;
  }
}
