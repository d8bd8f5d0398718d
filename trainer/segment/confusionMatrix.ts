import type { PixelConfusion, SegmentationNumbers } from './protocol.ts';

/** In label maps: a pixel that is not compared. */
export const ignoredLabel = 0xffff;

/** A matrix of this many classes takes 128 MiB. */
export const mostSegmentedClasses = 4096;

/** Counts how the pixels of each class were named. Counts are exact up to 2⁵³ pixels. */
export class ConfusionMatrix {
  readonly #classes: number;
  /** [truth, named]. */
  readonly #counts: Float64Array;

  constructor(classes: number) {
    this.#classes = classes;
    this.#counts = new Float64Array(classes * classes);
  }

  /** Adds pairs of place and pixels, as `confusionsOf` gives them. */
  add(confusions: readonly number[]): void {
    for (let pair = 0; pair < confusions.length; pair += 2)
      this.#counts[confusions[pair]!]! += confusions[pair + 1]!;
  }

  /** Intersection over union, accuracies and the confusions that happened. */
  numbers(): SegmentationNumbers {
    const count = this.#classes;
    const [truth, named] = [new Float64Array(count), new Float64Array(count)];
    const confusions: PixelConfusion[] = [];
    this.#counts.forEach((pixels, at) => {
      if (pixels === 0) return;
      const pair = { truth: Math.floor(at / count), named: at % count };
      truth[pair.truth]! += pixels;
      named[pair.named]! += pixels;
      confusions.push({ ...pair, pixels });
    });
    const perClass = Array.from({ length: count }, (_, place) => {
      const both = this.#counts[place * count + place]!;
      const union = truth[place]! + named[place]! - both;
      return { class: place, truth: truth[place]!, named: named[place]!, both, iou: share(both, union) };
    }).filter(entry => entry.iou !== null);
    const present = perClass.filter(entry => entry.truth > 0);
    const total = present.reduce((sum, entry) => sum + entry.truth, 0);
    const right = present.reduce((sum, entry) => sum + entry.both, 0);
    return {
      miou: mean(present.map(({ iou }) => iou!)),
      pixelAccuracy: share(right, total),
      meanAccuracy: mean(present.map(entry => entry.both / entry.truth)),
      perClass,
      confusions,
    };
  }
}

/**
 * How the pixels of one image were named: pairs of place in the matrix, truth × classes + named, and pixels.
 *
 * @param truth Class of each pixel, `ignoredLabel` where there is none.
 * @param named Class that each pixel was named.
 */
export function confusionsOf(truth: Uint16Array, named: Uint16Array, classes: number): number[] {
  if (truth.length !== named.length)
    throw new Error(`${truth.length} labels were compared with ${named.length} names`);
  const counts = new Map<number, number>();
  let [place, run] = [-1, 0];
  const count = (): unknown => run > 0 && counts.set(place, (counts.get(place) ?? 0) + run);
  for (let pixel = 0; pixel < truth.length; pixel++) {
    const label = truth[pixel]!;
    if (label === ignoredLabel) continue;
    const at = label * classes + named[pixel]!;
    if (at !== place) {
      count();
      [place, run] = [at, 0];
    }
    run++;
  }
  count();
  return [...counts].flat();
}

const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

export const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
