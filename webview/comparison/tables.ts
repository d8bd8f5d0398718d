import type { ComparedRun, RunComparison } from '../../trainer/compare/protocol.ts';
import { numberTitle, percent } from '../accuracy.ts';
import { changeElement } from '../changeElement.ts';
import { drawSample } from '../curveSample.ts';
import { element } from '../dom.ts';
import { formatName } from '../format.ts';
import type { Palette } from '../theme.ts';
import type { ComparisonState } from './protocol.ts';
import { runCurve } from './runCurve.ts';

/** A table whose columns are runs. */
export class RunTable {
  readonly root: HTMLElement;
  readonly #content = element('div', { class: 'table-scroller' });
  #key = '';

  constructor(title: string, note: string, name: string) {
    this.root = element(
      'section',
      { class: `card ${name}` },
      element(
        'header',
        {},
        element('h2', { text: title }),
        element('span', { class: 'card-note', text: note }),
      ),
      this.#content,
    );
  }

  /** Draws rows, one cell a run; `empty` is said where there are none. */
  update(
    { runs, base }: RunComparison,
    state: ComparisonState,
    palette: Palette,
    rows: readonly { name: string; cells: readonly (HTMLElement | string)[] }[],
    empty: string,
  ): void {
    const texts = rows.map(({ name, cells }) => [
      name,
      ...cells.map(cell => (typeof cell === 'string' ? cell : cell.textContent)),
    ]);
    const key = JSON.stringify([texts, base, palette.light, state.runs, runs.map(({ name }) => name)]);
    if (key === this.#key) return;
    this.#key = key;
    if (rows.length === 0) {
      this.#content.replaceChildren(element('p', { class: 'empty', text: empty }));
      return;
    }
    const heads = runs.map((run, index) => this.#head(run, index === base, state, palette));
    const body = rows.map(({ name, cells }) =>
      element(
        'tr',
        { attributes: { 'data-row': name } },
        element('th', { text: name, attributes: { scope: 'row' } }),
        ...cells.map(cell => element('td', {}, cell)),
      ),
    );
    const corner = element('th', { attributes: { scope: 'col' } });
    this.#content.replaceChildren(
      element(
        'table',
        { class: 'run-table' },
        element('thead', {}, element('tr', {}, corner, ...heads)),
        element('tbody', {}, ...body),
      ),
    );
  }

  #head(run: ComparedRun, isBase: boolean, { runs }: ComparisonState, palette: Palette): HTMLElement {
    const look = runs.find(({ directory }) => directory === run.directory)?.look ?? 0;
    return element(
      'th',
      { title: run.directory, attributes: { scope: 'col' } },
      drawSample(runCurve(look), palette),
      element('span', { text: isBase ? `${run.name} (base)` : run.name }),
    );
  }
}

/** Rows of the settings that differ. */
export function settingTableRows({
  runs,
  settings,
}: RunComparison): { name: string; cells: (HTMLElement | string)[] }[] {
  return settings.map(({ name, values }) => ({
    name: formatName(name),
    cells: values.map((value, at) => {
      if (value !== null) return value;
      const text = runs[at]!.problem === null ? 'not set' : 'cannot be read';
      return element('span', { class: 'not-set', text });
    }),
  }));
}

/** Rows of the numbers that any run has. */
export function numberTableRows({
  runs,
  numbers,
}: RunComparison): { name: string; cells: (HTMLElement | string)[] }[] {
  return numbers
    .filter(({ values }) => values.some(value => value !== null))
    .map(({ name, values, differences }) => ({
      name: numberTitle(name),
      cells: values.map((value, at) => {
        if (value === null)
          return element('span', {
            class: 'not-set',
            text: runs[at]!.problem === null ? '–' : 'cannot be read',
          });
        const difference = differences[at] ?? null;
        return element(
          'span',
          {},
          element('strong', { text: percent(value) }),
          ...(difference === null ? [] : [' ', changeElement(difference)]),
        );
      }),
    }));
}
