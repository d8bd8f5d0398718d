import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import type { RegionRanking } from './protocol.ts';

/** Classes of a ranking that are kept. */
const kept = 5;
/** Cosines are kept to six digits: what is recorded is what is counted, so that a resumed evaluation counts the same. */
const rounded = (cosine: number): number => Math.round(cosine * 1e6) / 1e6;

/**
 * Names a region by the cosines of its feature with the words; of equal ones the earlier class comes first.
 *
 * @param feature [D] of unit norm; zeros give cosines of 0.
 * @param truth Position of the true class.
 */
export function rankClasses(
  feature: Float32Array,
  { data, dimension, names }: ClassEmbeddings,
  truth: number,
): RegionRanking {
  const cosines = new Float32Array(names.length);
  for (let word = 0, start = 0; word < cosines.length; word++, start += dimension) {
    let sum = 0;
    for (let channel = 0; channel < dimension; channel++) sum += data[start + channel]! * feature[channel]!;
    cosines[word] = sum;
  }
  const top = mostSimilar(cosines);
  const trueCosine = cosines[truth]!;
  let rank = 1;
  for (let word = 0; word < cosines.length; word++)
    if (cosines[word]! > trueCosine || (cosines[word]! === trueCosine && word < truth)) rank++;
  return {
    top,
    cosines: top.map(word => rounded(cosines[word]!)),
    trueCosine: rounded(trueCosine),
    rank,
  };
}

function mostSimilar(cosines: Float32Array): number[] {
  const top: number[] = [];
  for (let word = 0; word < cosines.length; word++) {
    let place = top.length;
    while (place > 0 && cosines[top[place - 1]!]! < cosines[word]!) place--;
    if (place < kept) top.splice(place, 0, word);
    if (top.length > kept) top.pop();
  }
  return top;
}
