import { element, setAttribute, setText } from '../dom.ts';
import { formatTick, UNKNOWN } from '../format.ts';
import type { Palette } from '../theme.ts';
import { type Curve, LineChart } from '../training/lineChart.ts';
import { nearestIndex } from '../training/series.ts';
import type { NamedCurve } from './curves.ts';
import { percent } from './figures.ts';

export interface CurveCardOptions {
  title: string;
  /** What the horizontal axis counts: "epoch 3", "448 px". */
  formatPlace: (place: number) => string;
  /** How the curves look, in order; curves beyond are not drawn. */
  curves: readonly Curve[];
  empty: string;
}

/**
 * Accuracies over epochs or sizes under a heading. The legend carries the values at the cursor; to assistive technology
 * the chart is a slider whose arrow keys go from place to place.
 */
export class CurveCard {
  readonly root: HTMLElement;
  readonly #options: CurveCardOptions;
  readonly #chart: LineChart;
  readonly #heading: HTMLElement;
  readonly #where = element('span', { class: 'chart-step' });
  readonly #legend = element('ul', { class: 'curve-legend' });
  readonly #plot: HTMLElement;
  readonly #empty: HTMLElement;
  #palette: Palette;
  #curves: readonly NamedCurve[] = [];
  #places: number[] = [];
  #cursor = -1;
  #title: string;

  constructor(options: CurveCardOptions, palette: Palette) {
    this.#options = options;
    this.#palette = palette;
    this.#title = options.title;
    this.#heading = element('h2', { text: options.title });
    const canvas = element('canvas', { attributes: { role: 'slider', tabindex: '0' } });
    this.#plot = element('div', { class: 'plot' }, canvas);
    this.#empty = element('p', { class: 'empty', text: options.empty });
    this.root = element(
      'section',
      { class: 'card curve-card' },
      element('header', {}, this.#heading, this.#where),
      this.#legend,
      this.#plot,
      this.#empty,
    );
    this.#chart = new LineChart(
      canvas,
      { curves: options.curves, formatTick: (value, spacing) => formatTick(value, spacing) },
      palette,
    );
    this.#listen(canvas);
  }

  get canvas(): HTMLCanvasElement {
    return this.#chart.canvas;
  }

  get isEmpty(): boolean {
    return this.#places.length === 0;
  }

  get title(): string {
    return this.#title;
  }

  update(title: string, curves: readonly NamedCurve[]): void {
    this.#title = title;
    setText(this.#heading, title);
    this.#curves = curves;
    // Reference lines reach from end to end: the cursor stops where something was measured.
    this.#places = [...new Set(curves.flatMap(({ points }) => points.map(({ x }) => x)))].sort(
      (a, b) => a - b,
    );
    this.#cursor = Math.min(this.#cursor, this.#places.length - 1);
    const inPercent = curves.map(({ points }) => points.map(({ x, y }) => ({ x, y: y * 100 })));
    const [first, last] = [this.#places[0] ?? 0, this.#places.at(-1) ?? 1];
    this.#plot.hidden = this.isEmpty;
    this.#legend.hidden = this.isEmpty;
    this.#empty.hidden = !this.isEmpty;
    this.#chart.setPoints(inPercent, last, first);
    this.#describe();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.#chart.setPalette(palette);
    this.#describe();
  }

  /** Colour and name of every curve that has points, for pictures that are saved. */
  legend(): { colour: string; dashed: boolean; name: string }[] {
    return this.#curves.flatMap(({ name, points }, index) => {
      const look = this.#options.curves[index];
      if (look === undefined || points.length === 0) return [];
      return [{ colour: look.colour(this.#palette), dashed: look.dash !== undefined, name }];
    });
  }

  #describe(): void {
    const at = this.#cursor < 0 ? this.#places.length - 1 : this.#cursor;
    const place = this.#places[at];
    const where = place === undefined ? '' : this.#options.formatPlace(place);
    setText(this.#where, where);
    const values = this.#curves.flatMap(({ name, points }, index) => {
      if (points.length === 0) return [];
      const value = points.find(({ x }) => x === place)?.y;
      return [{ name, text: percent(value), look: this.#options.curves[index]! }];
    });
    this.#legend.replaceChildren(
      ...values.map(({ name, text, look }) => {
        const swatch = element('span', { class: look.dash ? 'swatch dashed' : 'swatch' });
        swatch.style.borderTopColor = look.colour(this.#palette);
        return element('li', {}, swatch, `${name} `, element('strong', { text }));
      }),
    );
    const canvas = this.#chart.canvas;
    setAttribute(canvas, 'aria-label', `${this.#title}, in percent`);
    setAttribute(canvas, 'aria-valuemin', String(this.#places[0] ?? 0));
    setAttribute(canvas, 'aria-valuemax', String(this.#places.at(-1) ?? 0));
    setAttribute(canvas, 'aria-valuenow', String(place ?? 0));
    const spoken = values.map(({ name, text }) => `${name} ${text}`).join(', ');
    setAttribute(canvas, 'aria-valuetext', place === undefined ? UNKNOWN : `${where}: ${spoken}`);
  }

  #moveTo(index: number | null): void {
    this.#cursor = index === null ? -1 : Math.min(Math.max(index, 0), this.#places.length - 1);
    const place = index === null ? undefined : this.#places[this.#cursor];
    // No dot: there are several curves under the line.
    this.#chart.setCursor(place === undefined ? null : { x: place, y: Number.NaN });
    this.#describe();
  }

  #listen(canvas: HTMLCanvasElement): void {
    canvas.addEventListener('pointermove', event =>
      this.#moveTo(nearestIndex(this.#places, this.#chart.stepAt(event.offsetX))),
    );
    canvas.addEventListener('pointerleave', () => this.#moveTo(null));
    canvas.addEventListener('blur', () => this.#moveTo(null));
    canvas.addEventListener('keydown', event => {
      const last = this.#places.length - 1;
      const now = this.#cursor < 0 ? last : this.#cursor;
      const target = {
        ArrowLeft: now - 1,
        ArrowDown: now - 1,
        ArrowRight: now + 1,
        ArrowUp: now + 1,
        Home: 0,
        End: last,
      }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      this.#moveTo(target);
    });
  }
}
