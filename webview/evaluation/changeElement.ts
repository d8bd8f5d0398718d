import { element } from '../dom.ts';
import { directionOf, percentChange } from './figures.ts';

/** A signed change in its colour; the sign says the same without colour. */
export function changeElement(difference: number | null, text = percentChange(difference)): HTMLElement {
  return element('span', {
    class: 'change',
    text,
    attributes: { 'data-direction': directionOf(difference) },
  });
}
