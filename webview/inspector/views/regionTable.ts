import type { CocoSegmentation } from '../../../trainer/dense/cocoMask.ts';
import type { Words } from '../../../trainer/dense/words.ts';
import { createTable, element } from '../../dom.ts';
import { formatCosine } from '../../format.ts';
import { icon } from '../../icons.ts';
import type { Box } from '../protocol/requests.ts';
import { nameCell, nameDetails, type RegionName } from './regionNames.ts';

export interface Region {
  box: Box;
  label: string;
  /** Features are pooled over it; null where over the box. */
  mask: CocoSegmentation | null;
  /** Tells apart regions of the same box but another mask. */
  name: string;
}

export interface Measured {
  cosine: number;
  rank: number;
}

/** Names of the regions and the words that they were found among; none while there are no words. */
export interface Named {
  words: Words | null;
  names: readonly RegionName[];
}

export interface RegionActions {
  select: (index: number) => void;
  remove: (index: number) => void;
}

/** A row a region; where there are words, those of the selected region or of the first one below. */
export function regionLegend(
  list: readonly Region[],
  measured: readonly Measured[],
  { words, names }: Named,
  selected: number,
  { select, remove }: RegionActions,
): HTMLElement[] {
  const { table, body } = createTable('Regions', [
    ...['Region', 'Label', 'Pixels', 'Cosine', 'Rank'],
    ...(words ? ['By dense feature', 'By crop'] : []),
    '',
  ]);
  list.forEach(({ box, label, mask }, index) => {
    const values = measured[index];
    const name = names[index];
    const [x0, y0, x1, y1] = box.map(Math.round);
    const number = selectButton(index, index === selected, () => select(index));
    const row = element(
      'tr',
      { class: index === selected ? 'selected' : '' },
      element('th', { attributes: { scope: 'row' } }, number),
      element('td', { text: label === '' ? 'drawn' : label }),
      element('td', { class: 'pixels', text: `${x0}, ${y0} – ${x1}, ${y1}${mask ? ', mask' : ''}` }),
      element('td', { text: formatCosine(values?.cosine ?? null) }),
      element('td', { text: values ? `${values.rank} of ${list.length}` : '–' }),
      ...(words ? [name?.dense ?? [], name?.crop ?? []].map(near => nameCell(near, words, label)) : []),
      element(
        'td',
        {},
        removeButton(index, () => remove(index)),
      ),
    );
    body.append(row);
  });
  const scroller = element(
    'div',
    { class: 'table-scroller', attributes: { tabindex: '0', role: 'region', 'aria-label': 'Regions' } },
    table,
  );
  const shown = Math.max(selected, 0);
  const name = names[shown];
  if (!words || name === undefined) return [scroller];
  const details = nameDetails(shown, list[shown]?.label ?? '', name, words);
  return [element('div', { class: 'region-legend' }, scroller, details)];
}

function selectButton(index: number, selected: boolean, select: () => void): HTMLElement {
  const button = element('button', {
    class: 'row-button',
    text: String(index + 1),
    attributes: { type: 'button', 'aria-pressed': String(selected), 'aria-label': `Region ${index + 1}` },
  });
  button.addEventListener('click', select);
  return button;
}

/** The browser's own button: there may be a thousand. */
function removeButton(index: number, remove: () => void): HTMLElement {
  const name = `Remove region ${index + 1}`;
  const button = element(
    'button',
    { class: 'row-button', title: name, attributes: { type: 'button', 'aria-label': name } },
    icon('close'),
  );
  button.addEventListener('click', remove);
  return button;
}
