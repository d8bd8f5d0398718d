/** One training step over several ranks: means over all boxes, and sums of gradients while the backward pass goes on. */
import type { StepImages, StepPeers } from '../distill/stepPeers.ts';
import type { GradientReceiver } from '../distill/student.ts';
import { type DeviceTensor, type Engine, readFloats } from '../engines/engine.ts';
import { type Shape, sizeOf } from '../graph/shape.ts';
import { UsageError } from '../usageError.ts';
import type { World } from './world.ts';

/** Gradients travel together up to so many MiB: small buckets cost a delay each, large ones start late. */
const bucketMib = 8;
const bucketVariable = 'CLIPSELF_GRADIENT_BUCKET_MIB';

/**
 * Numbers of a bucket; a network with long delays may want larger ones, which `CLIPSELF_GRADIENT_BUCKET_MIB` sets, the same
 * on all ranks.
 *
 * @throws UsageError when it is no number above 0.
 */
export function bucketSize(environment: Readonly<Record<string, string | undefined>> = process.env): number {
  const text = environment[bucketVariable];
  const mib = text === undefined || text.trim() === '' ? bucketMib : Number(text);
  if (mib > 0 && mib <= 1024)
    return Math.max(1, Math.floor((mib * 2 ** 20) / Float32Array.BYTES_PER_ELEMENT));
  throw new UsageError(`${bucketVariable} takes a size in MiB, above 0 and up to 1024; got '${text}'`);
}

interface Entry {
  name: string;
  shape: Shape;
  offset: number;
}

/** Gradients that are added up together. */
interface Bucket {
  entries: Entry[];
  numbers: Float32Array;
  used: number;
}

interface SentBucket extends Pick<Bucket, 'entries'> {
  sum: Promise<Float32Array>;
  arrived: boolean;
}

export interface ExchangeSettings {
  imagesPerStep: number;
  /** Regions have labels, at most so many an image; 0 where they have none. */
  labelsPerImage: number;
  /** This rank's first image among those of the step. */
  firstImage: number;
  /** Gradients travel together up to so many numbers. */
  bucketNumbers: number;
}

/**
 * Losses are weighted by the boxes of the whole step, so that the sum of the ranks' gradients is the gradient of one rank
 * with all images. Every rank walks its graph in the same order, and so do the buckets.
 */
export class StepExchange implements StepPeers {
  readonly #engine: Engine;
  readonly #world: World;
  readonly #settings: ExchangeSettings;
  #open: Bucket | null = null;
  readonly #sent: SentBucket[] = [];
  readonly #free: Float32Array[] = [];
  /** Bytes of gradients handed over, and seconds in which nothing else was done but wait for sums. */
  bytes = 0;
  waitSeconds = 0;
  /** Buckets handed over, and those of them whose sums came while the backward pass went on. */
  buckets = 0;
  bucketsMeanwhile = 0;

  constructor(engine: Engine, world: World, settings: ExchangeSettings) {
    this.#engine = engine;
    this.#world = world;
    this.#settings = settings;
  }

  async gather({ boxCounts, labels }: StepImages): Promise<StepImages> {
    const { imagesPerStep, labelsPerImage, firstImage } = this.#settings;
    const numbers = new Float64Array(imagesPerStep * (1 + labelsPerImage));
    numbers.set(boxCounts, firstImage);
    let box = 0;
    boxCounts.forEach((count, image) => {
      const first = imagesPerStep + (firstImage + image) * labelsPerImage;
      if (labelsPerImage > 0) numbers.set(labels!.slice(box, box + count), first);
      box += count;
    });
    const all = await this.#waitFor(this.#world.sum(numbers));
    const counts = [...all.subarray(0, imagesPerStep)];
    if (labelsPerImage === 0) return { boxCounts: counts };
    const labelsOf = (count: number, image: number): number[] => {
      const first = imagesPerStep + image * labelsPerImage;
      return [...all.subarray(first, first + count)];
    };
    return { boxCounts: counts, labels: counts.flatMap(labelsOf) };
  }

  async sumLoss(loss: number): Promise<number> {
    return (await this.#waitFor(this.#world.sum(Float64Array.of(loss))))[0]!;
  }

  async add(name: string, gradient: DeviceTensor, receive: GradientReceiver): Promise<void> {
    const size = sizeOf(gradient.shape);
    if (this.#open && this.#open.used + size > this.#open.numbers.length) this.#send();
    this.#open ??= {
      entries: [],
      numbers: this.#take(Math.max(size, this.#settings.bucketNumbers)),
      used: 0,
    };
    const { entries, numbers, used } = this.#open;
    const place = numbers.subarray(used, used + size);
    if (this.#engine.readInto) await this.#engine.readInto(gradient, place);
    else place.set(await readFloats(this.#engine, gradient));
    entries.push({ name, shape: gradient.shape, offset: used });
    this.#open.used += size;
    gradient.dispose();
    if (this.#open.used >= this.#settings.bucketNumbers) this.#send();
    while (this.#sent[0]?.arrived) {
      this.bucketsMeanwhile++;
      await this.#deliver(receive);
    }
  }

  async finish(receive: GradientReceiver): Promise<void> {
    if (this.#open) this.#send();
    while (this.#sent.length > 0) await this.#deliver(receive);
  }

  #send(): void {
    const { entries, numbers, used } = this.#open!;
    this.#open = null;
    this.bytes += used * numbers.BYTES_PER_ELEMENT;
    this.buckets++;
    const bucket: SentBucket = { entries, sum: this.#world.sum(numbers, used), arrived: false };
    const arrived = (): void => {
      bucket.arrived = true;
    };
    // A failure shows where the sum is awaited.
    bucket.sum.then(arrived, arrived);
    this.#sent.push(bucket);
  }

  /** Hands over the sums of the oldest bucket. */
  async #deliver(receive: GradientReceiver): Promise<void> {
    const { entries, sum } = this.#sent.shift()!;
    const numbers = await this.#waitFor(sum);
    for (const { name, shape, offset } of entries)
      await receive(name, this.#engine.upload(shape, numbers.subarray(offset, offset + sizeOf(shape))));
    if (numbers.length === this.#settings.bucketNumbers) this.#free.push(numbers);
  }

  #take(size: number): Float32Array {
    return (size === this.#settings.bucketNumbers ? this.#free.pop() : undefined) ?? new Float32Array(size);
  }

  async #waitFor<Result>(result: Promise<Result>): Promise<Result> {
    const started = performance.now();
    try {
      return await result;
    } finally {
      this.waitSeconds += (performance.now() - started) / 1000;
    }
  }
}
