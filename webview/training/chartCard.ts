import { element, setAttribute, setText } from '../dom.ts';
import { formatCount, formatTick, UNKNOWN } from '../format.ts';
import type { Palette } from '../theme.ts';
import { type Curve, LineChart, type LineChartOptions } from './lineChart.ts';
import { nearestIndex, type Point, pointLimit, type Series } from './series.ts';

export interface ChartCardOptions {
  title: string;
  /** Appended to the class list of the card. */
  class?: string;
  curves: readonly Curve[];
  fromZero?: boolean;
  /** Text of a value, with its unit. */
  format: (value: number) => string;
  /** Text of the ticks of the vertical axis; plain numbers when absent. */
  formatTick?: (value: number, spacing: number) => string;
  /** Controls on the right of the heading. */
  controls?: readonly Node[];
  /** The cursor was moved to a step by pointer or key, or taken away. */
  onCursor: (step: number | null) => void;
}

const emptySeries: Series = { steps: [], values: [] };

/**
 * A chart under a heading that names the latest value, or the one at the cursor. The chart is a slider to assistive
 * technology: arrow keys move the cursor from point to point and each value is spoken.
 */
export class ChartCard {
  readonly root: HTMLElement;
  readonly #chart: LineChart;
  readonly #options: ChartCardOptions;
  readonly #value = element('span', { class: 'chart-value' });
  readonly #where = element('span', { class: 'chart-step' });
  readonly #heading: HTMLElement;
  #title: string;
  #series = emptySeries;
  #cursorIndex = -1;

  constructor(options: ChartCardOptions, palette: Palette) {
    this.#options = options;
    this.#title = options.title;
    this.#heading = element('h3', { text: options.title });
    const canvas = element('canvas', {
      attributes: { role: 'slider', tabindex: '0', 'aria-label': options.title },
    });
    const heading = element(
      'header',
      {},
      this.#heading,
      this.#value,
      this.#where,
      element('span', { class: 'chart-controls' }, ...(options.controls ?? [])),
    );
    this.root = element(
      'section',
      { class: `card chart ${options.class ?? ''}`.trim() },
      heading,
      element('div', { class: 'plot' }, canvas),
    );
    const chartOptions: LineChartOptions = {
      curves: options.curves,
      formatTick: options.formatTick ?? formatTick,
      fromZero: options.fromZero ?? false,
    };
    this.#chart = new LineChart(canvas, chartOptions, palette);
    this.#listen(canvas);
    this.#describe();
  }

  /**
   * `series` is what the heading and the cursor speak of, at full resolution; `curves` are the points drawn.
   * The horizontal axis runs from 0 to `lastStep`.
   */
  update(series: Series, curves: readonly Point[][], lastStep: number): void {
    this.#series = series;
    if (this.#cursorIndex >= series.steps.length) this.setCursor(null);
    this.#chart.setPoints(curves, lastStep);
    this.#describe();
  }

  /** At most this many points of a curve can be told apart here. */
  get pointLimit(): number {
    return pointLimit(this.#chart.width);
  }

  set title(title: string) {
    this.#title = title;
    setText(this.#heading, title);
    this.#describe();
  }

  /** Shows the cursor at the point nearest to a step. */
  setCursor(step: number | null): void {
    const index = step === null ? -1 : nearestIndex(this.#series.steps, step);
    if (index === this.#cursorIndex) return;
    this.#cursorIndex = index;
    this.#chart.setCursor(
      index < 0 ? null : { x: this.#series.steps[index]!, y: this.#series.values[index]! },
    );
    this.#describe();
  }

  setPalette(palette: Palette): void {
    this.#chart.setPalette(palette);
  }

  setLogarithmic(logarithmic: boolean): void {
    this.#chart.setLogarithmic(logarithmic);
  }

  #describe(): void {
    const { steps, values } = this.#series;
    const last = steps.length - 1;
    const index = this.#cursorIndex >= 0 ? Math.min(this.#cursorIndex, last) : last;
    const value = index < 0 ? UNKNOWN : this.#options.format(values[index]!);
    const step = index < 0 ? '' : `step ${formatCount(steps[index]!)}`;
    setText(this.#value, value);
    setText(this.#where, this.#cursorIndex >= 0 ? step : '');
    const canvas = this.#chart.canvas;
    setAttribute(canvas, 'aria-valuemin', String(last < 0 ? 0 : steps[0]!));
    setAttribute(canvas, 'aria-valuemax', String(last < 0 ? 0 : steps[last]!));
    setAttribute(canvas, 'aria-valuenow', String(index < 0 ? 0 : steps[index]!));
    setAttribute(canvas, 'aria-valuetext', index < 0 ? 'no values yet' : `${value} at ${step}`);
    setAttribute(
      canvas,
      'aria-label',
      last < 0
        ? `${this.#title}, no values yet`
        : `${this.#title} over steps, from ${this.#options.format(values[0]!)} to ${this.#options.format(values[last]!)}`,
    );
  }

  #listen(canvas: HTMLCanvasElement): void {
    canvas.addEventListener('pointermove', event => this.#moveTo(this.#chart.stepAt(event.offsetX)));
    canvas.addEventListener('pointerleave', () => this.#options.onCursor(null));
    canvas.addEventListener('blur', () => this.#options.onCursor(null));
    canvas.addEventListener('keydown', event => {
      const last = this.#series.steps.length - 1;
      if (last < 0) return;
      const current = this.#cursorIndex < 0 ? last : this.#cursorIndex;
      const page = Math.max(1, Math.round(last / 10));
      const target = {
        ArrowLeft: current - 1,
        ArrowDown: current - 1,
        ArrowRight: current + 1,
        ArrowUp: current + 1,
        PageDown: current - page,
        PageUp: current + page,
        Home: 0,
        End: last,
      }[event.key];
      if (event.key === 'Escape') this.#options.onCursor(null);
      if (target === undefined) return;
      event.preventDefault();
      this.#moveTo(this.#series.steps[Math.min(Math.max(target, 0), last)]!);
    });
  }

  #moveTo(step: number): void {
    if (this.#series.steps.length > 0) this.#options.onCursor(step);
  }
}
