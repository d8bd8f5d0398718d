import { percent, percentChange, readingNames } from '../accuracy.ts';
import { createButton } from '../controls.ts';
import { createTable, element, setText } from '../dom.ts';
import { formatCount } from '../format.ts';
import { createSelect, type Select } from '../select.ts';
import type { Palette } from '../theme.ts';
import type { Comparison } from './comparison.ts';
import { Confusions } from './confusions.ts';
import { MatrixCanvas } from './matrixCanvas.ts';
import type { MatrixEntry } from './matrixPainting.ts';
import type { EvaluationState, MatrixSide, Side } from './protocol.ts';

/** Mistakes listed beside the matrix. */
const LISTED = 60;

export interface MatrixTabOptions {
  remember: (change: Partial<EvaluationState>) => void;
  /** A cell was opened: show its regions. Classes are places in `after`. */
  open: (truth: number, named: number, side: Side) => void;
}

/** What was named as what: the matrix, and its most frequent mistakes as a list. */
export class MatrixTab {
  readonly root: HTMLElement;
  readonly matrix: MatrixCanvas;
  readonly #options: MatrixTabOptions;
  readonly #side: Select;
  readonly #legend = element('span', { class: 'card-note' });
  readonly #list = element('div', {
    class: 'table-scroller confusion-list',
    attributes: { tabindex: '0', role: 'region', 'aria-label': 'Most frequent mistakes' },
  });
  #comparison: Comparison | null = null;
  #confusions: Confusions | null = null;
  #known = '';
  #order: number[] = [];
  #shown: MatrixSide = 'after';

  constructor(state: EvaluationState, options: MatrixTabOptions, palette: Palette) {
    this.#options = options;
    this.matrix = new MatrixCanvas(
      {
        describe: (row, column) => this.#describe(this.#order[row] ?? 0, this.#order[column] ?? 0),
        open: (row, column) => this.#open(this.#order[row] ?? 0, this.#order[column] ?? 0),
      },
      palette,
    );
    const remember = (matrix: Partial<EvaluationState['matrix']>): void =>
      options.remember({
        matrix: {
          side: this.#side.value as MatrixSide,
          order: order.value === 'regions' ? 'regions' : 'data',
          ...matrix,
        },
      });
    this.#side = createSelect({
      label: 'Show',
      options: [],
      value: state.matrix.side,
      onChange: value => remember({ side: value as MatrixSide }),
    });
    const order = createSelect({
      label: 'Order',
      options: [
        { value: 'data', label: 'of the data set' },
        { value: 'regions', label: 'most regions first' },
      ],
      value: state.matrix.order,
      onChange: value => remember({ order: value === 'regions' ? 'regions' : 'data' }),
    });
    const zoom = element(
      'div',
      { class: 'zoom', attributes: { role: 'group', 'aria-label': 'Zoom' } },
      createButton({ label: '−', onClick: () => this.matrix.zoomOut() }),
      createButton({ label: 'Fit', onClick: () => this.matrix.fit() }),
      createButton({ label: '+', onClick: () => this.matrix.zoomIn() }),
    );
    zoom.children[0]!.setAttribute('aria-label', 'Zoom out');
    zoom.children[2]!.setAttribute('aria-label', 'Zoom in');
    this.root = element(
      'div',
      { class: 'matrix-tab' },
      element('div', { class: 'tab-controls' }, this.#side.root, order.root, zoom, this.#legend),
      element('div', { class: 'matrix-row' }, this.matrix.root, this.#list),
    );
  }

  update(comparison: Comparison, state: EvaluationState): void {
    const { side, order } = state.matrix;
    const isSingle = comparison.before === null;
    this.#shown = isSingle ? 'after' : side;
    this.#side.setOptions([
      { value: 'after', label: isSingle ? 'this report' : 'after' },
      ...(isSingle
        ? []
        : [
            { value: 'before', label: 'before' },
            { value: 'change', label: 'change' },
          ]),
    ]);
    this.#side.value = this.#shown;
    const key = `${state.reading}|${order}|${this.#shown}`;
    if (this.#comparison === comparison && this.#known === key) return;
    this.#known = key;
    this.#comparison = comparison;
    const confusions = new Confusions(comparison, state.reading);
    this.#confusions = confusions;
    this.#order = confusions.order(order);
    this.matrix.label =
      `Confusions of ${readingNames[state.reading].toLowerCase()}, ${formatCount(this.#order.length)} classes. Rows are true ` +
      'classes, columns what they were named. Arrow keys move, with control to the next cell that holds something, ' +
      'Enter shows the regions, plus and minus zoom. The most frequent mistakes follow as a table.';
    this.matrix.update({
      names: this.#order.map(place => comparison.classes[place]!.name),
      rows: entriesOf(confusions, this.#order, this.#shown),
    });
    setText(
      this.#legend,
      this.#shown === 'change'
        ? 'blue: better, red: worse; share of the true class'
        : 'blue: right, red: mistakes; share of the true class',
    );
    this.#fillList(comparison, confusions);
  }

  setPalette(palette: Palette): void {
    this.matrix.setPalette(palette);
  }

  #open(truth: number, named: number): void {
    this.#options.open(truth, named, this.#shown === 'before' ? 'before' : 'after');
  }

  #describe(truth: number, named: number): string[] {
    const [confusions, comparison] = [this.#confusions, this.#comparison];
    if (confusions === null || comparison === null) return [];
    const { before, after, beforeOf, afterOf } = confusions.at(truth, named);
    const name = (place: number): string => comparison.classes[place]?.name ?? '';
    const title = truth === named ? `${name(truth)}, named rightly` : `${name(truth)} named ${name(named)}`;
    const line = (count: number, of: number): string =>
      `${formatCount(count)} of ${formatCount(of)} regions, ${percent(of === 0 ? null : count / of)} %`;
    if (comparison.before === null) return [title, line(after, afterOf)];
    const difference = confusions.share(truth, named, 'change');
    return [
      title,
      `after: ${line(after, afterOf)}`,
      `before: ${line(before, beforeOf)}`,
      `change: ${percentChange(difference)} points`,
    ];
  }

  #fillList(comparison: Comparison, confusions: Confusions): void {
    const isChange = this.#shown === 'change';
    const caption = isChange ? 'Mistakes that changed most' : 'Most frequent mistakes';
    const { table, body } = createTable(caption, [
      'True class',
      'Named',
      isChange ? 'Change' : 'Regions',
      'Share',
    ]);
    for (const { truth, named, regions } of confusions.worst(this.#shown, LISTED)) {
      const share = confusions.share(truth, named, this.#shown);
      const names = `${comparison.classes[truth]!.name} named ${comparison.classes[named]!.name}`;
      const open = element('button', {
        class: 'link',
        text: comparison.classes[truth]!.name,
        attributes: { type: 'button', 'aria-label': `Regions of ${names}` },
      });
      open.addEventListener('click', () => {
        this.matrix.select(this.#order.indexOf(truth), this.#order.indexOf(named));
        this.#open(truth, named);
      });
      const direction = !isChange ? '' : regions < 0 ? 'better' : 'worse';
      const count = isChange
        ? `${regions > 0 ? '+' : '−'}${formatCount(Math.abs(regions))}`
        : formatCount(regions);
      body.append(
        element(
          'tr',
          {},
          element('th', { attributes: { scope: 'row' } }, open),
          element('td', { text: comparison.classes[named]!.name }),
          element('td', { class: 'change', text: count, attributes: { 'data-direction': direction } }),
          element('td', { text: isChange ? percentChange(share) : `${percent(share)} %` }),
        ),
      );
    }
    const nothing = isChange ? 'No mistake changed.' : 'No region was named wrongly.';
    this.#list.replaceChildren(
      element('h3', { text: caption }),
      ...(body.childElementCount > 0 ? [table] : [element('p', { class: 'empty', text: nothing })]),
    );
  }
}

/** What every row of the matrix holds, in the shown order. */
function entriesOf(confusions: Confusions, order: readonly number[], side: MatrixSide): MatrixEntry[][] {
  const positions = new Map(order.map((place, position) => [place, position]));
  const rows: MatrixEntry[][] = order.map(() => []);
  for (const [truth, named] of confusions.keys()) {
    const share = confusions.share(truth, named, side);
    if (share === 0) continue;
    const isRight = truth === named;
    const good = side === 'change' ? share > 0 === isRight : isRight;
    rows[positions.get(truth)!]!.push({ column: positions.get(named)!, share, good });
  }
  return rows;
}
