/**
 * Crops of several images, embedded together: programs are compiled for a number of crops, and small ones waste time. The
 * last ones are filled up to the same number, so that an embedding has the same bits whichever crops travel with it.
 */

interface WaitingCrop {
  /** [3, side, side], normalised. */
  pixels: Float32Array;
  receive: (embedding: Float32Array) => void;
}

export class CropBatches {
  readonly #embed: (pixels: Float32Array, count: number) => Promise<Float32Array>;
  readonly #capacity: number;
  #waiting: WaitingCrop[] = [];

  /**
   * @param embed [count, 3, side, side] → [count, D].
   * @param capacity Crops that are embedded together.
   */
  constructor(embed: (pixels: Float32Array, count: number) => Promise<Float32Array>, capacity: number) {
    this.#embed = embed;
    this.#capacity = capacity;
  }

  /** Adds crops [n, 3, side, side] and embeds all full batches; `receive` gets each embedding in its turn. */
  async add(
    crops: Float32Array,
    count: number,
    receive: (place: number, embedding: Float32Array) => void,
  ): Promise<void> {
    const length = crops.length / Math.max(count, 1);
    for (let place = 0; place < count; place++) {
      const pixels = crops.subarray(place * length, (place + 1) * length);
      this.#waiting.push({ pixels, receive: embedding => receive(place, embedding) });
    }
    while (this.#waiting.length >= this.#capacity) await this.#flush(this.#capacity);
  }

  /** Embeds what is left. */
  async finish(): Promise<void> {
    if (this.#waiting.length > 0) await this.#flush(this.#waiting.length);
  }

  async #flush(count: number): Promise<void> {
    const batch = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    const length = batch[0]!.pixels.length;
    const pixels = new Float32Array(this.#capacity * length);
    for (const [place, crop] of batch.entries()) pixels.set(crop.pixels, place * length);
    const embeddings = await this.#embed(pixels, this.#capacity);
    const dimension = embeddings.length / this.#capacity;
    for (const [place, crop] of batch.entries())
      crop.receive(embeddings.subarray(place * dimension, (place + 1) * dimension));
  }
}
