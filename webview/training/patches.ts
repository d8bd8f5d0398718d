import type { PatchPreview } from '../../trainer/protocol.ts';
import { cosineColour, cosineGradient, cssColour } from '../cosineColour.ts';
import { createTable, element, setText } from '../dom.ts';
import { formatCount, formatMetric } from '../format.ts';
import type { Palette } from '../theme.ts';
import { drawPatches } from './patchCanvas.ts';
import { boxAt, cellOf, cosineStatistics, type Direction, neighbour, readingOrder } from './patchGrid.ts';
import type { PreviewWithImage } from './protocol.ts';

/** The image is drawn at most this high, in CSS pixels. */
const MAXIMUM_HEIGHT = 460;

const countOf = ({ boxes, rows, columns }: PatchPreview): string =>
  rows === 0 ? `${boxes.length} regions` : `${boxes.length} of ${rows} by ${columns}`;

const directions: Record<string, Direction> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

/** The patches of a recent step over their image, a table of their cosines, and the scale of the tints. */
export class Patches {
  readonly root: HTMLElement;
  readonly #canvas = element('canvas', {
    class: 'patch-canvas',
    attributes: { tabindex: '0', role: 'application', 'aria-roledescription': 'patch grid' },
  });
  readonly #image = element('img', { class: 'source-image', attributes: { alt: '', 'aria-hidden': 'true' } });
  readonly #stage: HTMLElement;
  readonly #heading = element('h2', { text: 'Patches' });
  readonly #subtitle = element('span', { class: 'card-note' });
  readonly #problem = element('p', { class: 'empty' });
  readonly #empty = element('p', {
    class: 'empty',
    text: 'The patches of a step appear here once there is one.',
  });
  readonly #readout = element('p', { class: 'patch-readout', attributes: { 'aria-live': 'polite' } });
  readonly #statistics = element('p', { class: 'patch-statistics' });
  readonly #mean = element('span', { class: 'legend-mean', attributes: { 'aria-hidden': 'true' } });
  readonly #rows: HTMLElement;
  readonly #content: HTMLElement;
  #palette: Palette;
  #preview: PatchPreview | null = null;
  #imageReady = false;
  #selected = -1;

  constructor(palette: Palette) {
    this.#palette = palette;
    const { table, body } = createTable('Cosine of student and teacher per patch', [
      'Row',
      'Column',
      'Pixels',
      'Cosine',
    ]);
    this.#rows = body;
    this.#stage = element('div', { class: 'patch-stage' }, this.#canvas, this.#image, this.#problem);
    const side = element(
      'div',
      { class: 'patch-side' },
      this.#statistics,
      this.#legend(),
      this.#readout,
      element(
        'div',
        { class: 'table-scroller', attributes: { tabindex: '0', role: 'region', 'aria-label': 'Patches' } },
        table,
      ),
    );
    this.#content = element('div', { class: 'patches' }, this.#stage, side);
    this.#content.hidden = true;
    const header = element('header', {}, this.#heading, this.#subtitle);
    this.root = element('section', { class: 'card patches-card' }, header, this.#empty, this.#content);
    this.#listen();
    // Not at once: drawing resizes the canvas, and with it what is observed.
    new ResizeObserver(() => requestAnimationFrame(() => this.#draw())).observe(this.#stage);
  }

  /** Shows another step's patches, or none. */
  update(update: PreviewWithImage | null): void {
    this.#empty.hidden = update !== null;
    this.#content.hidden = update === null;
    if (update === null) {
      this.#preview = null;
      setText(this.#subtitle, '');
      return;
    }
    const { preview, imageBytes, imageType, imageProblem } = update;
    const sameGrid = this.#preview !== null && sameBoxes(this.#preview, preview);
    this.#preview = preview;
    if (!sameGrid) this.#selected = -1;
    if (imageBytes) this.#load(imageBytes, imageType ?? '');
    else if (imageProblem) this.#showProblem(imageProblem);
    setText(this.#subtitle, `step ${formatCount(preview.step)} · ${fileName(preview.image)}`);
    this.#subtitle.title = preview.image;
    this.#canvas.setAttribute(
      'aria-label',
      `Patches of step ${preview.step} over ${fileName(preview.image)}, ${countOf(preview)}. Arrow keys move between patches.`,
    );
    this.#showStatistics(preview);
    this.#fillTable(preview);
    this.#describe();
    this.#draw();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.#draw();
  }

  #legend(): HTMLElement {
    const bar = element('div', { class: 'legend-bar' }, this.#mean);
    bar.style.background = cosineGradient();
    const ticks = ['≤ 0', '0.25', '0.5', '0.75', '1'].map(text => element('span', { text }));
    return element(
      'div',
      {
        class: 'legend',
        attributes: { role: 'img', 'aria-label': 'Tint by cosine, dark for 0 and below, bright for 1' },
      },
      bar,
      element('div', { class: 'legend-ticks' }, ...ticks),
    );
  }

  #load(bytes: ArrayBuffer, type: string): void {
    this.#imageReady = false;
    this.#problem.textContent = '';
    const address = URL.createObjectURL(new Blob([bytes], { type }));
    this.#image.onload = () => {
      URL.revokeObjectURL(address);
      this.#imageReady = true;
      this.#draw();
    };
    this.#image.onerror = () => {
      URL.revokeObjectURL(address);
      this.#showProblem('The image cannot be drawn here.');
      this.#draw();
    };
    this.#image.src = address;
  }

  #showProblem(problem: string): void {
    this.#imageReady = false;
    this.#problem.textContent = problem;
  }

  #showStatistics(preview: PatchPreview): void {
    const statistics = cosineStatistics(preview.cosines);
    this.#mean.hidden = statistics === null;
    if (statistics === null) {
      setText(this.#statistics, 'No cosine was recorded for these patches.');
      return;
    }
    const { lowest, mean, highest } = statistics;
    this.#mean.style.left = `${Math.min(Math.max(mean, 0), 1) * 100}%`;
    setText(
      this.#statistics,
      `Student–teacher cosine: mean ${formatMetric(mean)}, lowest ${formatMetric(lowest)}, highest ${formatMetric(highest)}`,
    );
  }

  #fillTable(preview: PatchPreview): void {
    this.#rows.replaceChildren(
      ...readingOrder(preview).map(index => {
        const { row, column } = cellOf(preview, index);
        const cosine = preview.cosines[index] ?? Number.NaN;
        const swatch = element('span', { class: 'swatch', attributes: { 'aria-hidden': 'true' } });
        swatch.style.background = cssColour(cosineColour(cosine));
        const line = element(
          'tr',
          {},
          element('th', { text: String(row), attributes: { scope: 'row' } }),
          element('td', { text: column === 0 ? '–' : String(column) }),
          element('td', { class: 'pixels', text: pixelsOf(preview, index) }),
          element('td', {}, swatch, formatMetric(cosine)),
        );
        line.dataset.patch = String(index);
        return line;
      }),
    );
  }

  #listen(): void {
    this.#canvas.addEventListener('pointermove', event => {
      const preview = this.#preview;
      if (preview === null) return;
      const x = (event.offsetX / this.#canvas.clientWidth) * preview.width;
      const y = (event.offsetY / this.#canvas.clientHeight) * preview.height;
      this.#select(boxAt(preview.boxes, x, y));
    });
    this.#canvas.addEventListener('pointerleave', () => {
      if (document.activeElement !== this.#canvas) this.#select(-1);
    });
    this.#canvas.addEventListener('focus', () => {
      if (this.#selected < 0 && this.#preview !== null) this.#select(readingOrder(this.#preview)[0] ?? -1);
    });
    this.#canvas.addEventListener('blur', () => this.#select(-1));
    this.#canvas.addEventListener('keydown', event => this.#handleKey(event));
    this.#rows.addEventListener('pointerover', event => {
      const line = event.target instanceof Element ? event.target.closest('tr') : null;
      if (line?.dataset.patch !== undefined) this.#select(Number(line.dataset.patch));
    });
    this.#rows.addEventListener('pointerleave', () => this.#select(-1));
  }

  #handleKey(event: KeyboardEvent): void {
    const preview = this.#preview;
    if (preview === null || preview.boxes.length === 0) return;
    const order = readingOrder(preview);
    const direction = directions[event.key];
    let target = this.#selected < 0 ? order[0]! : this.#selected;
    if (direction !== undefined)
      target = this.#selected < 0 ? target : neighbour(preview.boxes, target, direction);
    else if (event.key === 'Home') target = order[0]!;
    else if (event.key === 'End') target = order[order.length - 1]!;
    else if (event.key === 'Escape') target = -1;
    else return;
    event.preventDefault();
    this.#select(target);
  }

  #select(index: number): void {
    if (index === this.#selected) return;
    this.#selected = index;
    this.#describe();
    this.#draw();
  }

  #describe(): void {
    const preview = this.#preview;
    for (const line of this.#rows.children) {
      const marked = (line as HTMLElement).dataset.patch === String(this.#selected);
      line.classList.toggle('selected', marked);
    }
    if (preview === null || this.#selected < 0) {
      setText(this.#readout, 'Point at a patch, or move through them with the arrow keys.');
      return;
    }
    const { row, column } = cellOf(preview, this.#selected);
    const cosine = formatMetric(preview.cosines[this.#selected] ?? null);
    setText(
      this.#readout,
      `${column === 0 ? `Region ${row}` : `Row ${row}, column ${column}`}: cosine ${cosine}, pixels ${pixelsOf(preview, this.#selected)}`,
    );
  }

  #draw(): void {
    const preview = this.#preview;
    if (preview === null) return;
    this.#stage.style.maxWidth = `${(MAXIMUM_HEIGHT * preview.width) / preview.height}px`;
    const width = this.#stage.clientWidth;
    if (width === 0) return;
    const height = (width * preview.height) / preview.width;
    this.#canvas.style.width = `${width}px`;
    this.#canvas.style.height = `${height}px`;
    const image = this.#imageReady ? this.#image : null;
    drawPatches(this.#canvas, width, height, {
      preview,
      image,
      selected: this.#selected,
      palette: this.#palette,
    });
  }
}

function sameBoxes(a: PatchPreview, b: PatchPreview): boolean {
  return a.image === b.image && JSON.stringify(a.boxes) === JSON.stringify(b.boxes);
}

function pixelsOf(preview: PatchPreview, index: number): string {
  const [x0, y0, x1, y1] = preview.boxes[index]!.map(Math.round);
  return `${x0}, ${y0} – ${x1}, ${y1}`;
}

function fileName(path: string): string {
  return path.split(/[\\/]/).pop() ?? path;
}
