import type { NearWord, Words } from '../../../trainer/dense/words.ts';
import { element } from '../../dom.ts';
import { formatCosine } from '../../format.ts';

/** Words of a ranking. */
export const RANKED_WORDS = 5;

/** How a word is told from another that only looks different: COCO writes `dining_table` where people type a space. */
export const isSameWord = (a: string, b: string): boolean => plain(a) === plain(b);

const plain = (word: string): string => word.trim().toLowerCase().replaceAll('_', ' ');

/** "sky 0.312, sea 0.290". */
export const nearWordText = (near: readonly NearWord[], { names }: Words): string =>
  near.map(({ word, cosine }) => `${names[word]} ${formatCosine(cosine)}`).join(', ');

/**
 * Words with their cosines, best first. It keeps its height while there is nothing to rank: the image above must not
 * move under the pointer.
 *
 * @param truth Marked where it occurs.
 */
export function nearWordList(
  title: string,
  near: readonly NearWord[],
  names: readonly string[],
  truth: string | null = null,
): HTMLElement {
  const items = Array.from({ length: Math.min(RANKED_WORDS, names.length) }, (_, rank) => {
    const found = near[rank];
    if (found === undefined) return element('li', { text: '–' });
    const name = names[found.word]!;
    const isTrue = truth !== null && isSameWord(name, truth);
    return element(
      'li',
      { class: isTrue ? 'near-word true-word' : 'near-word' },
      element('span', { text: isTrue ? `${name} ✓` : name }),
      ...(isTrue ? [element('span', { class: 'screen-reader', text: 'its label' })] : []),
      element('span', { class: 'near-cosine', text: formatCosine(found.cosine) }),
    );
  });
  return element(
    'div',
    { class: 'near-words', attributes: { role: 'group', 'aria-label': title } },
    element('p', { class: 'card-note', text: title }),
    element('ol', {}, ...items),
  );
}
