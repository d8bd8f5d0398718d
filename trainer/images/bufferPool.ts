/**
 * Memory of tensors that were used up, for those to come. Fresh memory costs a page fault for every 4 KiB where it is
 * filled, and a collection of garbage where it is let go of.
 */

/** An item has a few tensors, and few items are under way at a time. */
const mostBuffers = 32;

/**
 * The memory is shared between threads: memory that moves counts for the collector of the thread it comes to, which then
 * collects every few batches.
 */
export class BufferPool {
  readonly #free: SharedArrayBuffer[] = [];

  /** Buffers that wait for their use. */
  get free(): number {
    return this.#free.length;
  }

  /**
   * Numbers that hold anything.
   *
   * @param most The most that a tensor of its kind has; only tensors with the same `most` follow each other in a buffer.
   */
  take(length: number, most = length): Float32Array<SharedArrayBuffer> {
    if (length > most) throw new RangeError(`${length} numbers are more than the ${most} of their kind`);
    const bytes = most * Float32Array.BYTES_PER_ELEMENT;
    const place = this.#free.findIndex(({ byteLength }) => byteLength === bytes);
    // Pages of a new buffer are not there before something is written to them.
    const buffer = place < 0 ? new SharedArrayBuffer(bytes) : this.#free.splice(place, 1)[0]!;
    return new Float32Array(buffer, 0, length);
  }

  /** Nobody may use them afterwards. Beyond a bound they are let go of. */
  give(buffers: readonly SharedArrayBuffer[]): void {
    for (const buffer of buffers) if (this.#free.length < mostBuffers) this.#free.push(buffer);
  }
}
