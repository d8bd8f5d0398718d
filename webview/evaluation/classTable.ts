import { directionOf, kindNames, margin, percent, percentChange } from '../accuracy.ts';
import { createTextField } from '../controls.ts';
import { element, setAttribute, setText } from '../dom.ts';
import { formatCount } from '../format.ts';
import { createSelect } from '../select.ts';
import { type ClassRow, classRows, filterRows, sortRows } from './classRows.ts';
import type { Comparison } from './comparison.ts';
import type { ClassColumn, EvaluationState } from './protocol.ts';

/** Pixels; the style sheet says the same. */
const ROW_HEIGHT = 26;
/** Rows drawn beyond what is in sight. */
const OVERSCAN = 8;

interface Column {
  id: ClassColumn;
  label: string;
  title: string;
  cell: (row: ClassRow) => string;
}

const columns: readonly Column[] = [
  { id: 'name', label: 'Class', title: 'Name of the class', cell: row => row.name },
  { id: 'kind', label: 'Kind', title: 'Thing or stuff', cell: row => (row.isThing ? 'thing' : 'stuff') },
  { id: 'regions', label: 'Regions', title: 'Regions of the class', cell: row => formatCount(row.regions) },
  { id: 'before', label: 'Before', title: 'Accuracy before, percent', cell: row => percent(row.before) },
  { id: 'after', label: 'After', title: 'Accuracy after, percent', cell: row => percent(row.after) },
  {
    id: 'change',
    label: 'Change',
    title: 'After minus before, points',
    cell: row => percentChange(row.change),
  },
  {
    id: 'margin',
    label: 'Margin',
    title: 'Cosine of the true class minus the best other one, mean, after',
    cell: row => margin(row.margin),
  },
];

export interface ClassTableOptions {
  remember: (change: Partial<EvaluationState>) => void;
  /** A class was opened: show its regions. */
  open: (place: number) => void;
}

/** Accuracy of every class. Only the rows in sight are in the document, so that a thousand classes scroll smoothly. */
export class ClassTable {
  readonly root: HTMLElement;
  readonly #options: ClassTableOptions;
  readonly #summary = element('span', { class: 'card-note', attributes: { role: 'status' } });
  readonly #header = element('div', { class: 'grid-row grid-header', attributes: { role: 'row' } });
  readonly #body = element('div', { class: 'grid-body', attributes: { role: 'rowgroup' } });
  readonly #grid: HTMLElement;
  readonly #empty = element('p', { class: 'empty', text: 'No class fits the filter.' });
  #rows: ClassRow[] = [];
  #all: ClassRow[] = [];
  #shown = '';
  #cursor = 0;
  #selected = -1;
  #state: EvaluationState;
  #single = false;

  constructor(state: EvaluationState, options: ClassTableOptions) {
    this.#state = state;
    this.#options = options;
    const filter = createTextField({
      label: 'Filter classes',
      placeholder: 'Filter classes',
      value: state.classes.filter,
      onInput: text => this.#change({ filter: text }),
    });
    const kind = createSelect({
      label: 'Kind',
      options: [
        { value: 'all', label: 'Things and stuff' },
        { value: 'thing', label: kindNames.thing },
        { value: 'stuff', label: kindNames.stuff },
      ],
      value: state.classes.kind,
      hideLabel: true,
      onChange: value => this.#change({ kind: value === 'thing' || value === 'stuff' ? value : 'all' }),
    });
    this.#grid = element(
      'div',
      {
        class: 'class-grid',
        attributes: {
          role: 'grid',
          tabindex: '0',
          'aria-label': 'Accuracy by class',
          'aria-readonly': 'true',
        },
      },
      element('div', { class: 'grid-head', attributes: { role: 'rowgroup' } }, this.#header),
      this.#body,
    );
    this.root = element(
      'div',
      { class: 'class-table' },
      element('div', { class: 'tab-controls' }, filter, kind.root, this.#summary),
      this.#grid,
      this.#empty,
    );
    this.#grid.addEventListener('scroll', () => this.#draw(), { passive: true });
    this.#grid.addEventListener('keydown', event => this.#key(event));
    this.#body.addEventListener('click', event => this.#click(event));
    new ResizeObserver(() => this.#draw()).observe(this.#grid);
  }

  update(comparison: Comparison, state: EvaluationState): void {
    this.#state = state;
    this.#single = comparison.before === null;
    this.#all = classRows(comparison, state.reading, state.top);
    const { selection } = state;
    this.#selected =
      selection?.named === null && selection.truth !== null
        ? comparison.placeFrom(selection.side, selection.truth)
        : -1;
    this.#arrange();
  }

  #change(change: Partial<EvaluationState['classes']>): void {
    const classes = { ...this.#state.classes, ...change };
    this.#state = { ...this.#state, classes };
    this.#options.remember({ classes });
    this.#arrange();
  }

  #arrange(): void {
    const { classes } = this.#state;
    this.#rows = sortRows(filterRows(this.#all, classes), classes.column, classes.descending);
    this.#cursor = Math.min(this.#cursor, Math.max(this.#rows.length - 1, 0));
    setText(this.#summary, summaryOf(this.#rows, this.#all.length, this.#single));
    this.#empty.hidden = this.#rows.length > 0;
    setAttribute(this.#grid, 'aria-rowcount', String(this.#rows.length + 1));
    this.#grid.classList.toggle('single', this.#single);
    this.#body.style.height = `${this.#rows.length * ROW_HEIGHT}px`;
    this.#drawHeader();
    this.#shown = '';
    this.#draw();
  }

  get #columns(): readonly Column[] {
    return this.#single ? columns.filter(({ id }) => id !== 'before' && id !== 'change') : columns;
  }

  #drawHeader(): void {
    const { column, descending } = this.#state.classes;
    setAttribute(this.#header, 'aria-rowindex', '1');
    const focused =
      document.activeElement instanceof HTMLElement ? document.activeElement.dataset.column : undefined;
    const isOurs = this.#header.contains(document.activeElement);
    this.#header.replaceChildren(
      ...this.#columns.map(({ id, label, title }) => {
        const isSorted = id === column;
        const button = element('button', {
          class: 'sort',
          title,
          text: isSorted ? `${label} ${descending ? '↓' : '↑'}` : label,
          attributes: { type: 'button', 'data-column': id },
        });
        button.addEventListener('click', () =>
          this.#change({ column: id, descending: isSorted ? !descending : id !== 'name' && id !== 'kind' }),
        );
        const sort = isSorted ? (descending ? 'descending' : 'ascending') : 'none';
        return element(
          'div',
          { class: `grid-cell ${id}`, attributes: { role: 'columnheader', 'aria-sort': sort } },
          button,
        );
      }),
    );
    if (isOurs) this.#header.querySelector<HTMLElement>(`[data-column="${focused}"]`)?.focus();
  }

  #draw(): void {
    const { scrollTop, clientHeight } = this.#grid;
    const first = Math.max(Math.floor(scrollTop / ROW_HEIGHT) - OVERSCAN, 0);
    const last = Math.min(Math.ceil((scrollTop + clientHeight) / ROW_HEIGHT) + OVERSCAN, this.#rows.length);
    const shown = `${first}-${last}-${this.#cursor}-${this.#selected}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#body.replaceChildren(
      ...this.#rows.slice(first, last).map((row, at) => this.#rowElement(row, first + at)),
    );
    setAttribute(
      this.#grid,
      'aria-activedescendant',
      this.#rows.length > 0 ? `class-row-${this.#cursor}` : '',
    );
  }

  #rowElement(row: ClassRow, index: number): HTMLElement {
    const made = element(
      'div',
      {
        class: 'grid-row',
        attributes: {
          role: 'row',
          id: `class-row-${index}`,
          'aria-rowindex': String(index + 2),
          'aria-selected': String(row.place === this.#selected),
          'data-index': String(index),
        },
      },
      ...this.#columns.map(({ id, cell }) => {
        const made = element('div', {
          class: `grid-cell ${id}`,
          text: cell(row),
          attributes: { role: 'gridcell' },
        });
        if (id === 'change') made.dataset.direction = directionOf(row.change);
        if (id === 'after' || id === 'before') made.style.setProperty('--share', String(row[id] ?? 0));
        if (id === 'name') made.title = row.name;
        return made;
      }),
    );
    if (index === this.#cursor) made.classList.add('cursor');
    made.style.top = `${index * ROW_HEIGHT}px`;
    return made;
  }

  #click(event: MouseEvent): void {
    const row = event.target instanceof Element ? event.target.closest<HTMLElement>('.grid-row') : null;
    if (row?.dataset.index === undefined) return;
    this.#moveTo(Number(row.dataset.index));
    this.#openCursor();
  }

  #key(event: KeyboardEvent): void {
    if (event.target !== this.#grid) return;
    const page = Math.max(Math.floor(this.#grid.clientHeight / ROW_HEIGHT) - 2, 1);
    const target = {
      ArrowDown: this.#cursor + 1,
      ArrowUp: this.#cursor - 1,
      PageDown: this.#cursor + page,
      PageUp: this.#cursor - page,
      Home: 0,
      End: this.#rows.length - 1,
    }[event.key];
    if (event.key === 'Enter' || event.key === ' ') this.#openCursor();
    else if (target !== undefined) this.#moveTo(Math.min(Math.max(target, 0), this.#rows.length - 1));
    else return;
    event.preventDefault();
  }

  #moveTo(index: number): void {
    if (index < 0) return;
    this.#cursor = index;
    const top = index * ROW_HEIGHT;
    const room = this.#grid.clientHeight - ROW_HEIGHT;
    if (top < this.#grid.scrollTop) this.#grid.scrollTop = top;
    else if (top + ROW_HEIGHT > this.#grid.scrollTop + room) this.#grid.scrollTop = top + ROW_HEIGHT - room;
    this.#draw();
  }

  #openCursor(): void {
    const row = this.#rows[this.#cursor];
    if (row !== undefined) this.#options.open(row.place);
  }
}

function summaryOf(rows: readonly ClassRow[], all: number, single: boolean): string {
  const count =
    rows.length === all
      ? `${formatCount(all)} classes`
      : `${formatCount(rows.length)} of ${formatCount(all)} classes`;
  if (single) return count;
  const better = rows.filter(row => directionOf(row.change) === 'better').length;
  const worse = rows.filter(row => directionOf(row.change) === 'worse').length;
  return `${count}: ${formatCount(better)} better, ${formatCount(worse)} worse`;
}
