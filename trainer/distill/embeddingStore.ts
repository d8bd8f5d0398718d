/**
 * The teacher is frozen, and the crop of a proposal is the same in every epoch: so is its embedding. Kept in the host's
 * memory, it is computed once.
 */
export class EmbeddingStore {
  /** Regions 0 … capacity − 1 are kept. */
  readonly capacity: number;
  readonly #dimension: number;
  readonly #embeddings: Float32Array;
  readonly #known: Uint8Array;

  /** @param dimension D, length of an embedding. */
  constructor(capacity: number, dimension: number) {
    this.capacity = capacity;
    this.#dimension = dimension;
    this.#embeddings = new Float32Array(capacity * dimension);
    this.#known = new Uint8Array(capacity);
  }

  has(region: number): boolean {
    return this.#known[region] === 1;
  }

  /** @throws RangeError beyond the capacity. */
  set(region: number, embedding: Float32Array): void {
    if (!(region >= 0 && region < this.capacity)) throw new RangeError(`region ${region} is not kept`);
    this.#embeddings.set(embedding, region * this.#dimension);
    this.#known[region] = 1;
  }

  /** [D]. Throws where none was set. */
  get(region: number): Float32Array {
    if (!this.has(region)) throw new Error(`the teacher has not seen region ${region}`);
    return this.#embeddings.subarray(region * this.#dimension, (region + 1) * this.#dimension);
  }
}

/** How many of a run's regions are kept: the first ones, as many as the memory holds. */
export function keptRegions(regions: number, dimension: number, mebibytes: number): number {
  const each = dimension * Float32Array.BYTES_PER_ELEMENT;
  return Math.min(regions, Math.floor((mebibytes * 2 ** 20) / each));
}
