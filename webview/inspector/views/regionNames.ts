import { type NearWord, nearestWords, type Words } from '../../../trainer/dense/words.ts';
import { element } from '../../dom.ts';
import { formatCosine } from '../../format.ts';
import type { RegionsResult } from '../protocol/requests.ts';
import { isSameWord, nearWordList, RANKED_WORDS } from './nearWordList.ts';

/** Features of regions and of their crops, both [regions, dimension] of unit norm. */
export interface RegionFeatures {
  dimension: number;
  dense: Float32Array;
  crops: Float32Array;
}

/** The words nearest to a region, best first. */
export interface RegionName {
  dense: NearWord[];
  crop: NearWord[];
}

export const regionFeatures = ({ dimension, dense, crops }: RegionsResult): RegionFeatures => ({
  dimension,
  dense: new Float32Array(dense),
  crops: new Float32Array(crops),
});

/** Names every region by its dense feature and by its crop; kept until features or words are others. */
export class RegionNames {
  readonly #known = new WeakMap<RegionFeatures, { words: Words; names: RegionName[] }>();

  of(features: RegionFeatures | undefined, words: Words | null): readonly RegionName[] {
    if (features === undefined || words === null || words.dimension !== features.dimension) return [];
    const known = this.#known.get(features);
    if (known?.words === words) return known.names;
    const { dense, crops, dimension } = features;
    const named = (rows: Float32Array, region: number): NearWord[] =>
      nearestWords(rows.subarray(region * dimension, (region + 1) * dimension), words, RANKED_WORDS);
    const names = Array.from({ length: dense.length / dimension }, (_, region) => ({
      dense: named(dense, region),
      crop: named(crops, region),
    }));
    this.#known.set(features, { words, names });
    return names;
  }
}

/** The best word, with a mark where the region's own label is among the words. */
export function nameCell(near: readonly NearWord[], { names }: Words, label: string): HTMLElement {
  const [best] = near;
  if (best === undefined) return element('td', { text: '–' });
  const name = names[best.word]!;
  if (!names.some(word => isSameWord(word, label))) return element('td', { text: name });
  const isRight = isSameWord(name, label);
  return element(
    'td',
    { class: isRight ? 'named-right' : 'named-wrong' },
    element('span', { text: isRight ? '✓ ' : '✗ ', attributes: { 'aria-hidden': 'true' } }),
    name,
    element('span', { class: 'screen-reader', text: isRight ? ', its label' : ', not its label' }),
  );
}

/** The words of one region side by side: those of its dense feature and those of its crop. */
export function nameDetails(region: number, label: string, name: RegionName, words: Words): HTMLElement {
  const truth = label === '' ? null : label;
  const what = truth === null ? `Region ${region + 1}` : `Region ${region + 1}, labelled “${label}”`;
  const isListed = truth === null || words.names.some(word => isSameWord(word, truth));
  return element(
    'div',
    { class: 'region-names' },
    element('p', { text: isListed ? what : `${what}, which is not among the words` }),
    nearWordList('By its dense feature', name.dense, words.names, truth),
    nearWordList('By its crop', name.crop, words.names, truth),
  );
}

/** How often each of the two gave the label, over the regions whose label is among the words; empty for none. */
export function namesSummary(
  labels: readonly string[],
  regions: readonly RegionName[],
  words: Words | null,
): string {
  if (words === null || regions.length === 0) return '';
  const { names } = words;
  const known = labels.flatMap((label, index) =>
    names.some(word => isSameWord(word, label)) && regions[index] ? [index] : [],
  );
  if (known.length === 0) return '';
  const right = (kind: keyof RegionName): number =>
    known.filter(index => {
      const best = regions[index]![kind][0];
      return best !== undefined && isSameWord(names[best.word]!, labels[index]!);
    }).length;
  return `named as labelled: ${right('dense')} of ${known.length} by dense features, ${right('crop')} by crops`;
}

/** Fields of the CSV export: the best word with its cosine, then all, of both. */
export const nameHeadings = [
  'named by dense feature',
  'cosine of dense feature',
  'words of dense feature',
  'named by crop',
  'cosine of crop',
  'words of crop',
];

export function nameFields(name: RegionName | undefined, words: Words): string[] {
  return (['dense', 'crop'] as const).flatMap(kind => {
    const near = name?.[kind] ?? [];
    const [best] = near;
    const all = near.map(({ word, cosine }) => `${words.names[word]} ${formatCosine(cosine)}`);
    return [best ? words.names[best.word]! : '', String(best?.cosine ?? ''), all.join('; ')];
  });
}
