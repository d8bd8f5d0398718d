import { dotProducts } from '../dense/dotProducts.ts';
import type { Words } from '../dense/words.ts';
import { averagePrecision } from './averagePrecision.ts';
import { mean } from './confusionMatrix.ts';
import type { NamingNumbers } from './protocol.ts';

/** CLIP was trained at about this temperature; detectors on CLIP take a value near it. */
const temperature = 0.01;

/** Scores that are kept for the average precision: 256 MiB. */
const mostScores = 2 ** 26;

/**
 * Open-vocabulary naming of regions that are given. Each region is scored against all words: the softmax of its cosines
 * divided by 0.01. The average precision of a class ranks all regions by their score for it; those of the class are the
 * positives. Unlike detection, boxes are the truth's own: nothing is missed, doubled or misplaced.
 */
export class RegionNaming {
  readonly #words: number;
  readonly #truths: number[] = [];
  /** [regions, words] in pieces; null once there are too many. */
  #scores: Float32Array[] | null = [];
  readonly #named: Float64Array;
  readonly #both: Float64Array;
  readonly #truth: Float64Array;

  /** @param count Number of words. */
  constructor(count: number) {
    this.#words = count;
    [this.#named, this.#both, this.#truth] = [0, 1, 2].map(() => new Float64Array(count)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
  }

  /**
   * @param scores [regions, words], as `regionScores` gives them.
   * @param truths Class of each region.
   */
  add(scores: Float32Array, truths: readonly number[]): void {
    const count = this.#words;
    truths.forEach((truth, region) => {
      const best = highestOf(scores.subarray(region * count, (region + 1) * count));
      this.#truths.push(truth);
      this.#truth[truth]!++;
      this.#named[best]!++;
      if (best === truth) this.#both[truth]!++;
    });
    this.#scores?.push(scores);
    if (this.#truths.length * count > mostScores) this.#scores = null;
  }

  numbers(): NamingNumbers {
    const regions = this.#truths.length;
    const perClass = Array.from(this.#truth, (truth, place) => ({
      class: place,
      truth,
      named: this.#named[place]!,
      both: this.#both[place]!,
      ap: truth === 0 ? null : this.#precisionOf(place),
    })).filter(({ truth, named }) => truth > 0 || named > 0);
    const known = perClass.flatMap(({ ap }) => (ap === null ? [] : [ap]));
    const right = this.#both.reduce((sum, both) => sum + both, 0);
    return { regions, map: mean(known), accuracy: regions === 0 ? null : right / regions, perClass };
  }

  #precisionOf(place: number): number | null {
    if (this.#scores === null) return null;
    const count = this.#words;
    const column = new Float32Array(this.#truths.length);
    let region = 0;
    for (const piece of this.#scores)
      for (let at = place; at < piece.length; at += count) column[region++] = piece[at]!;
    return averagePrecision(column, position => this.#truths[position] === place);
  }
}

/**
 * Softmax over the words of the regions' cosines divided by the temperature, [regions, words].
 *
 * @param features [regions, D] of unit norm.
 */
export function regionScores(features: Float32Array, { data, dimension, names }: Words): Float32Array {
  const scores = new Float32Array((features.length / dimension) * names.length);
  dotProducts(features, data, dimension, scores);
  for (let start = 0; start < scores.length; start += names.length)
    softmax(scores.subarray(start, start + names.length));
  return scores;
}

/** The position of the first highest. */
function highestOf(values: Float32Array): number {
  let best = 0;
  for (let place = 1; place < values.length; place++) if (values[place]! > values[best]!) best = place;
  return best;
}

/** Softmax of cosines divided by the temperature, in place. */
function softmax(cosines: Float32Array): void {
  const highest = cosines[highestOf(cosines)]!;
  let sum = 0;
  for (let word = 0; word < cosines.length; word++)
    sum += cosines[word] = Math.exp((cosines[word]! - highest) / temperature);
  for (let word = 0; word < cosines.length; word++) cosines[word]! /= sum;
}
