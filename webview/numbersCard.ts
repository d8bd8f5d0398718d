import { classKinds, regionReadings, type TwelveNumberName } from '../trainer/evaluate/protocol.ts';
import {
  change,
  kindNames,
  numberName,
  percent,
  readingNames,
  readingNotes,
  type TwelveNumbers,
} from './accuracy.ts';
import { changeElement } from './changeElement.ts';
import { element } from './dom.ts';

const tops = [1, 5] as const;

/** The twelve numbers: mean class accuracy of each reading, for things and stuff, top-1 and top-5. */
export class NumbersCard {
  readonly root: HTMLElement;
  readonly #content = element('div', { class: 'table-scroller' });

  constructor() {
    this.root = element(
      'section',
      { class: 'card numbers-card' },
      element(
        'header',
        {},
        element('h2', { text: 'Region classification' }),
        element('span', { class: 'card-note', text: 'mean class accuracy, percent' }),
      ),
      this.#content,
    );
  }

  /** @param before Null where there is nothing to compare with. */
  update(before: TwelveNumbers | null, after: TwelveNumbers): void {
    const kinds = element(
      'tr',
      {},
      element(
        'th',
        { attributes: { rowspan: '2', scope: 'col' } },
        element('span', { class: 'screen-reader', text: 'Reading' }),
      ),
      ...classKinds.map(kind =>
        element('th', {
          class: 'kind',
          text: kindNames[kind],
          attributes: { colspan: '2', scope: 'colgroup' },
        }),
      ),
    );
    const columns = element(
      'tr',
      {},
      ...classKinds.flatMap(() =>
        tops.map(top => element('th', { text: `Top-${top}`, attributes: { scope: 'col' } })),
      ),
    );
    const rows = regionReadings.map(reading =>
      element(
        'tr',
        {},
        element(
          'th',
          { attributes: { scope: 'row' } },
          element('strong', { text: readingNames[reading] }),
          element('small', { text: readingNotes[reading] }),
        ),
        ...classKinds.flatMap(kind =>
          tops.map(top => numberCell(before, after, numberName(reading, kind, top))),
        ),
      ),
    );
    const table = element(
      'table',
      { class: 'numbers' },
      element('caption', {
        class: 'screen-reader',
        text: 'The twelve numbers, before, after and their change',
      }),
      element('thead', {}, kinds, columns),
      element('tbody', {}, ...rows),
    );
    this.#content.replaceChildren(table);
  }
}

function numberCell(before: TwelveNumbers | null, after: TwelveNumbers, name: TwelveNumberName): HTMLElement {
  const [was, is] = [before?.[name], after[name]];
  const cell = element(
    'td',
    { attributes: { 'data-number': name } },
    element('span', { class: 'number', text: percent(is) }),
  );
  if (before !== null) {
    cell.append(
      element(
        'span',
        { class: 'number-change' },
        changeElement(change(was, is)),
        element('span', { class: 'was', text: ` from ${percent(was)}` }),
      ),
    );
  }
  return cell;
}
