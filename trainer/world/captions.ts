import type { KeyedRandom } from '../random.ts';
import { worldClasses } from './classes.ts';
import type { VisibleSegment } from './truth.ts';

const openings = ['', 'a picture of ', 'a scene with ', 'here you can see '];

const withArticle = (name: string): string =>
  /s$/.test(name) ? name : `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;

/** `a`, `a and b`, `a, b and c`. */
const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)!}`;

/** A sentence about the things that can be seen and what is behind them, largest first. */
export function captionOf(visible: readonly VisibleSegment[], random: KeyedRandom): string {
  const names = (things: boolean): string[] =>
    visible
      .filter(({ isThing }) => isThing === things)
      .sort((a, b) => b.area - a.area)
      .map(({ category }) => worldClasses[category - 1]!.name);
  const things = listed(names(true).map(withArticle));
  const behind = listed(names(false));
  const opening = openings[random.uint(openings.length)]!;
  if (things === '') return `${opening}${behind}.`;
  return behind === '' ? `${opening}${things}.` : `${opening}${things} before ${behind}.`;
}
