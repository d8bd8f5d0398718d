import { clusterColour, cssColour } from '../../trainer/dense/colourMaps.ts';
import type { SegmentationReport, SegmentSideReport } from '../../trainer/segment/protocol.ts';
import { change, directionOf, percent, percentChange } from '../accuracy.ts';
import { createButton } from '../controls.ts';
import { createTable, element, setText } from '../dom.ts';
import { formatCount } from '../format.ts';
import { type EvaluationHost, problemOf } from './host.ts';
import {
  type EvaluationState,
  type SegmentationMessage,
  type SegmentColumn,
  type SegmentPictureName,
  segmentPictures,
} from './protocol.ts';
import { type SegmentRow, segmentRows, sortSegmentRows, worstMistakes } from './segmentRows.ts';

const mistakesShown = 15;

interface Column {
  id: SegmentColumn;
  label: string;
  title: string;
  cell: (row: SegmentRow) => string;
}

const columns: readonly Column[] = [
  { id: 'name', label: 'Class', title: 'Name of the class', cell: row => row.name },
  {
    id: 'pixels',
    label: 'Pixels',
    title: 'Labelled pixels of the class',
    cell: row => formatCount(row.pixels),
  },
  {
    id: 'before',
    label: 'IoU before',
    title: 'Intersection over union before, percent',
    cell: row => percent(row.before),
  },
  {
    id: 'after',
    label: 'IoU after',
    title: 'Intersection over union after, percent',
    cell: row => percent(row.after),
  },
  {
    id: 'change',
    label: 'Change',
    title: 'After minus before, points',
    cell: row => percentChange(row.change),
  },
  {
    id: 'boxes',
    label: 'AP boxes',
    title: 'Average precision of naming the given boxes, after, percent',
    cell: row => percent(row.boxes),
  },
  {
    id: 'masks',
    label: 'AP masks',
    title: 'Average precision of naming the given masks, after, percent',
    cell: row => percent(row.masks),
  },
];

const numbers: readonly { label: string; of: (side: SegmentSideReport) => number | null }[] = [
  { label: 'Mean IoU', of: ({ pixels }) => pixels.miou },
  { label: 'Pixel accuracy', of: ({ pixels }) => pixels.pixelAccuracy },
  { label: 'Mean accuracy of classes', of: ({ pixels }) => pixels.meanAccuracy },
  { label: 'Given boxes: mean AP', of: ({ naming }) => naming.boxes.map },
  { label: 'Given boxes: named rightly', of: ({ naming }) => naming.boxes.accuracy },
  { label: 'Given masks: mean AP', of: ({ naming }) => naming.masks.map },
  { label: 'Given masks: named rightly', of: ({ naming }) => naming.masks.accuracy },
];

const pictureLabels: Readonly<Record<SegmentPictureName, string>> = {
  truth: 'truth',
  before: 'before',
  after: 'after',
};

export interface SegmentationTabOptions {
  host: EvaluationHost;
  remember: (change: Partial<EvaluationState>) => void;
  say: (text: string) => void;
}

/** Open-vocabulary segmentation: numbers, classes, mistakes and pictures of one report. */
export class SegmentationTab {
  readonly root: HTMLElement;
  readonly #options: SegmentationTabOptions;
  readonly #source = element('p', { class: 'card-note', attributes: { role: 'status' } });
  readonly #content = element('div', { class: 'overview' });
  #shown: SegmentationMessage | null = null;
  #segments = '';
  #abort = new AbortController();

  constructor(options: SegmentationTabOptions) {
    this.#options = options;
    const browse = createButton({ label: 'Open Segmentation…', onClick: () => void this.#browse() });
    this.root = element(
      'div',
      { class: 'segmentation' },
      element('div', { class: 'tab-controls' }, browse, this.#source),
      this.#content,
    );
  }

  update(message: SegmentationMessage | null, state: EvaluationState): void {
    const segments = JSON.stringify(state.segments);
    const isSame = message === this.#shown;
    if (isSame && segments === this.#segments && this.#content.childElementCount > 0) return;
    this.#segments = segments;
    this.#shown = message;
    const report = message?.report ?? null;
    if (report === null) {
      this.#abort.abort();
      setText(this.#source, '');
      const none = 'No segmentation yet. “Evaluate Segmentation”, or “clipself segment”, writes a report.';
      this.#content.replaceChildren(
        element('p', { class: 'empty', text: message?.problem?.message ?? none }),
      );
      return;
    }
    setText(this.#source, sourceOf(report));
    const classes = this.#classes(report, state.segments);
    if (isSame) {
      const focused =
        document.activeElement instanceof HTMLElement ? document.activeElement.dataset.column : undefined;
      this.#content.querySelector('.segment-classes')?.replaceWith(classes);
      if (focused !== undefined) classes.querySelector<HTMLElement>(`[data-column="${focused}"]`)?.focus();
      return;
    }
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#content.replaceChildren(
      element('div', { class: 'overview-row wide-narrow' }, numbersCard(report), mistakesCard(report)),
      classes,
      this.#pictures(report),
    );
  }

  #classes(report: SegmentationReport, segments: EvaluationState['segments']): HTMLElement {
    const shown = columns.filter(({ id }) => report.before !== null || (id !== 'before' && id !== 'change'));
    const rows = sortSegmentRows(segmentRows(report), segments.column, segments.descending);
    const { table, body } = createTable('Intersection over union of every class', []);
    table.classList.add('segment-table');
    table.tHead!.rows[0]!.append(...shown.map(column => this.#heading(column, segments)));
    body.append(
      ...rows.map(row =>
        element(
          'tr',
          {},
          ...shown.map(({ id, cell }) => {
            if (id === 'name') return nameCell(row);
            const made = element('td', { class: id, text: cell(row) });
            if (id === 'change') made.dataset.direction = directionOf(row.change);
            return made;
          }),
        ),
      ),
    );
    return element('section', { class: 'card segment-classes' }, element('h2', { text: 'Classes' }), table);
  }

  #heading({ id, label, title }: Column, { column, descending }: EvaluationState['segments']): HTMLElement {
    const isSorted = id === column;
    const button = element('button', {
      class: 'sort',
      title,
      text: isSorted ? `${label} ${descending ? '↓' : '↑'}` : label,
      attributes: { type: 'button', 'data-column': id },
    });
    button.addEventListener('click', () =>
      this.#options.remember({
        segments: { column: id, descending: isSorted ? !descending : id !== 'name' },
      }),
    );
    const sort = isSorted ? (descending ? 'descending' : 'ascending') : 'none';
    return element('th', { attributes: { scope: 'col', 'aria-sort': sort } }, button);
  }

  #pictures(report: SegmentationReport): HTMLElement {
    const card = element('section', { class: 'card' }, element('h2', { text: 'Pictures' }));
    if (report.overlays.length === 0) {
      card.append(
        element('p', { class: 'empty', text: 'None were written: “clipself segment --overlays DIR”.' }),
      );
      return card;
    }
    for (const [overlay, entry] of report.overlays.entries()) {
      const figures = segmentPictures
        .filter(picture => entry[picture] !== null)
        .map(picture => this.#figure(overlay, picture, entry.image));
      card.append(
        element(
          'div',
          { class: 'segment-pictures', attributes: { role: 'group', 'aria-label': entry.image } },
          ...figures,
        ),
      );
    }
    return card;
  }

  #figure(overlay: number, picture: SegmentPictureName, name: string): HTMLElement {
    const label = pictureLabels[picture];
    const image = element('img', { attributes: { alt: `${name}, ${label}` } });
    const caption = element('figcaption', { text: `${name} · ${label}` });
    this.#options.host
      .request('segmentPicture', { overlay, picture }, { signal: this.#abort.signal })
      .then(bytes => {
        const url = URL.createObjectURL(new Blob([bytes], { type: 'image/jpeg' }));
        image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
        image.src = url;
      })
      .catch((error: unknown) => {
        const problem = problemOf(error);
        if (problem.kind !== 'cancelled') setText(caption, `${name} · ${label}: ${problem.message}`);
      });
    return element('figure', {}, image, caption);
  }

  async #browse(): Promise<void> {
    try {
      const segmentation = await this.#options.host.request('browseSegmentation', null);
      if (segmentation !== null) this.#options.remember({ segmentation });
    } catch (error) {
      this.#options.say(problemOf(error).message);
    }
  }
}

/** A class with the colour that it has in the pictures. */
function nameCell({ name, place }: SegmentRow): HTMLElement {
  const swatch = element('span', { class: 'segment-swatch', attributes: { 'aria-hidden': 'true' } });
  swatch.style.background = cssColour(clusterColour(place));
  return element('th', { attributes: { scope: 'row' } }, swatch, name);
}

function sourceOf({ before, after, counts, data, size, classes }: SegmentationReport): string {
  const models = before === null ? after.model.name : `${before.model.name} against ${after.model.name}`;
  const left = counts.ignored > 0 ? `, ${formatCount(counts.ignored)} left out` : '';
  return `${models} · ${formatCount(counts.images)} images at ${size} px, ${formatCount(classes.length)} classes, ${formatCount(counts.pixels)} pixels${left} · ${data.labels}`;
}

function numbersCard(report: SegmentationReport): HTMLElement {
  const { before, after } = report;
  const headings = before === null ? ['', 'Value'] : ['', 'Before', 'After', 'Change'];
  const { table, body } = createTable('Numbers of the segmentation, percent', headings);
  table.classList.add('segment-table');
  for (const { label, of } of numbers) {
    const [was, is] = [before && of(before), of(after)];
    const difference = change(was, is);
    const cells = before === null ? [percent(is)] : [percent(was), percent(is)];
    const row = element('tr', {}, element('th', { text: label, attributes: { scope: 'row' } }));
    row.append(...cells.map(text => element('td', { text })));
    if (before !== null) {
      const cell = element('td', { class: 'change', text: percentChange(difference) });
      cell.dataset.direction = directionOf(difference);
      row.append(cell);
    }
    body.append(row);
  }
  return element(
    'section',
    { class: 'card segment-numbers' },
    element('h2', { text: 'Numbers, percent' }),
    table,
    element('p', {
      class: 'card-note',
      text: 'Boxes and masks are those of the truth: what is measured is naming them, not finding them.',
    }),
  );
}

function mistakesCard(report: SegmentationReport): HTMLElement {
  const headings = ['Truth', 'Named', 'Share after', ...(report.before === null ? [] : ['before'])];
  const { table, body } = createTable('Pairs of classes that most pixels are confused between', headings);
  table.classList.add('segment-table');
  table.tHead!.rows[0]!.cells[1]!.classList.add('text');
  for (const mistake of worstMistakes(report, mistakesShown)) {
    const texts = [mistake.truth, mistake.named, percent(mistake.after)];
    if (report.before !== null) texts.push(percent(mistake.before));
    body.append(
      element('tr', {}, ...texts.map((text, at) => element('td', { text, class: at < 2 ? 'text' : '' }))),
    );
  }
  return element('section', { class: 'card' }, element('h2', { text: 'Most pixels confused' }), table);
}
