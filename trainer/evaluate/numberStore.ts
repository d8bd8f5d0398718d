/** Numbers appended one after another, 8 bytes each: millions of small arrays would take several times as much. */
const chunkLength = 1 << 20;

export class NumberStore {
  readonly #chunks: Float64Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(values: readonly number[]): void {
    for (const value of values) {
      const within = this.#length % chunkLength;
      if (within === 0) this.#chunks.push(new Float64Array(chunkLength));
      this.#chunks.at(-1)![within] = value;
      this.#length++;
    }
  }

  at(index: number): number {
    return this.#chunks[Math.floor(index / chunkLength)]![index % chunkLength]!;
  }

  slice(start: number, length: number): number[] {
    return Array.from({ length }, (_, offset) => this.at(start + offset));
  }
}
