import { directionOf, percentChange } from './accuracy.ts';
import { element } from './dom.ts';

/** A signed change in its colour; the sign says the same without colour. */
export function changeElement(difference: number | null, text = percentChange(difference)): HTMLElement {
  return element('span', {
    class: 'change',
    text,
    attributes: { 'data-direction': directionOf(difference) },
  });
}
