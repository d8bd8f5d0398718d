import type { ColourMapName } from '../../trainer/dense/colourMaps.ts';
import { cssColour } from '../cosineColour.ts';
import { element } from '../dom.ts';
import { colourMapStops } from './cellPixels.ts';

/** A bar of the colour map with numbers under it. */
export function scalarLegend(
  colourMap: ColourMapName,
  range: readonly [number, number],
  format: (value: number) => string,
  what: string,
): HTMLElement {
  const bar = element('div', { class: 'legend-bar' });
  const stops = colourMapStops(colourMap, 16).map(colour => cssColour(colour));
  bar.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
  const [low, high] = range;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(share =>
    element('span', { text: format(low + share * (high - low)) }),
  );
  return element(
    'div',
    {
      class: 'legend',
      attributes: {
        role: 'img',
        'aria-label': `${what}: colours from ${format(low)} on the left to ${format(high)} on the right`,
      },
    },
    bar,
    element('div', { class: 'legend-ticks', attributes: { 'aria-hidden': 'true' } }, ...ticks),
  );
}
