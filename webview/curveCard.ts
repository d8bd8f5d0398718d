import { drawSample } from './curveSample.ts';
import { element, setAttribute, setText } from './dom.ts';
import { formatTick, UNKNOWN } from './format.ts';
import type { Palette } from './theme.ts';
import { type Curve, LineChart } from './training/lineChart.ts';
import { type NamedCurve, nearestIndex, type Point } from './training/series.ts';

export interface CurveCardOptions {
  title: string;
  /** What the horizontal axis counts: "epoch 3", "448 px". */
  formatPlace: (place: number) => string;
  /** Text of a value; null where there is none. */
  formatValue: (value: number | null) => string;
  /** What is drawn for each unit of a value: 100 for fractions in percent. */
  scale?: number;
  /** What values are counted in, said after the title. */
  unit?: string;
  /** Text of the ticks; plain numbers when absent. */
  formatTick?: (value: number, spacing: number) => string;
  /** Text of the ticks of the horizontal axis; whole numbers when absent. */
  formatPlaceTick?: (place: number, spacing: number) => string;
  /** Curves were measured at places of their own: the legend names the value nearest to the cursor. */
  nearest?: boolean;
  /** The cursor was moved here, for charts that share one. */
  onCursor?: (place: number | null) => void;
  /** How the curves look, in order; curves beyond are not drawn. */
  curves: readonly Curve[];
  empty: string;
}

/**
 * Curves over epochs, steps or sizes under a heading. The legend carries the values at the cursor; to assistive technology
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
      {
        curves: options.curves,
        formatTick: options.formatTick ?? ((value, spacing) => formatTick(value, spacing)),
        ...(options.formatPlaceTick === undefined ? {} : { formatPlace: options.formatPlaceTick }),
      },
      palette,
    );
    this.#listen(canvas);
  }

  get canvas(): HTMLCanvasElement {
    return this.#chart.canvas;
  }

  /** The chart as it is, drawn at another size in pixels. */
  picture(width: number, height: number): OffscreenCanvas {
    return this.#chart.picture(width, height);
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
    const scale = this.#options.scale ?? 1;
    const scaled = curves.map(({ points }) => points.map(({ x, y }) => ({ x, y: y * scale })));
    const [first, last] = [this.#places[0] ?? 0, this.#places.at(-1) ?? 1];
    this.#plot.hidden = this.isEmpty;
    this.#legend.hidden = this.isEmpty;
    this.#empty.hidden = !this.isEmpty;
    this.#chart.setPoints(scaled, last, first);
    this.#describe();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.#chart.setPalette(palette);
    this.#describe();
  }

  /** Look and name of every curve that has points, for pictures that are saved. */
  legend(): { look: Curve; name: string }[] {
    return this.#curves.flatMap(({ name, points }, index) => {
      const look = this.#options.curves[index];
      return look === undefined || points.length === 0 ? [] : [{ look, name }];
    });
  }

  /** Shows the cursor at a place; null takes it away. */
  setCursor(place: number | null): void {
    this.#show(place === null ? null : nearestIndex(this.#places, place));
  }

  #describe(): void {
    const at = this.#cursor < 0 ? this.#places.length - 1 : this.#cursor;
    const place = this.#places[at];
    const isLast = this.#options.nearest === true && this.#cursor < 0;
    const where = place === undefined ? '' : isLast ? 'last values' : this.#options.formatPlace(place);
    setText(this.#where, where);
    const values = this.#curves.flatMap(({ name, points }, index) => {
      if (points.length === 0) return [];
      const value = this.#valueAt(points, place);
      return [{ name, text: this.#options.formatValue(value), look: this.#options.curves[index]! }];
    });
    this.#legend.replaceChildren(
      ...values.map(({ name, text, look }) => {
        return element('li', {}, drawSample(look, this.#palette), `${name} `, element('strong', { text }));
      }),
    );
    const canvas = this.#chart.canvas;
    const { unit } = this.#options;
    setAttribute(canvas, 'aria-label', `${this.#title}${unit === undefined ? '' : `, in ${unit}`}`);
    setAttribute(canvas, 'aria-valuemin', String(this.#places[0] ?? 0));
    setAttribute(canvas, 'aria-valuemax', String(this.#places.at(-1) ?? 0));
    setAttribute(canvas, 'aria-valuenow', String(place ?? 0));
    const spoken = values.map(({ name, text }) => `${name} ${text}`).join(', ');
    setAttribute(canvas, 'aria-valuetext', place === undefined ? UNKNOWN : `${where}: ${spoken}`);
  }

  #valueAt(points: readonly Point[], place: number | undefined): number | null {
    if (place === undefined) return null;
    if (this.#options.nearest !== true) return points.find(({ x }) => x === place)?.y ?? null;
    // Beyond its ends a curve says nothing.
    const [first, last] = [points[0]!, points.at(-1)!];
    if (this.#cursor < 0) return last.y;
    if (place < first.x || place > last.x) return null;
    const places = points.map(({ x }) => x);
    return points[nearestIndex(places, place)]!.y;
  }

  #moveTo(index: number | null): void {
    const place = index === null ? undefined : this.#places[index];
    if (this.#options.onCursor === undefined) this.#show(index);
    else this.#options.onCursor(place ?? null);
  }

  #show(index: number | null): void {
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
