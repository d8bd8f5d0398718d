import {
  Chart,
  type ChartConfiguration,
  type ChartDataset,
  LinearScale,
  LineController,
  LineElement,
  LogarithmicScale,
  type Plugin,
  PointElement,
  type ScaleOptions,
} from 'chart.js';
import { formatCount } from '../format.ts';
import type { Palette } from '../theme.ts';
import type { Marker, Point } from './series.ts';

Chart.register(LineController, LineElement, PointElement, LinearScale, LogarithmicScale);

/** One curve. `colour` picks from the theme when it is drawn. */
export interface Curve {
  colour: (palette: Palette) => string;
  /** Pixels. */
  width: number;
  /** Every point gets a dot: for curves of few points. */
  dots?: boolean;
  /** Lengths of dashes and gaps in pixels; a whole line when absent. */
  dash?: number[];
  /** A shape at about eight points of the curve. */
  marker?: Marker;
}

export interface LineChartOptions {
  curves: readonly Curve[];
  /** Text of a tick of the vertical axis; `spacing` is the distance of ticks, 0 when they are unevenly spaced. */
  formatTick: (value: number, spacing: number) => string;
  /** Text of a tick of the horizontal axis; whole numbers when absent. */
  formatPlace?: (place: number, spacing: number) => string;
  /** The vertical axis starts at zero. */
  fromZero?: boolean;
}

/** Curves of more points than this are drawn without dots. */
const MAXIMUM_DOTS = 60;

/** About this many markers on a curve. */
const MARKERS = 8;

type LineOfPoints = Chart<'line', Point[]>;

/** Width of the vertical axis in pixels, the same for all charts, so that charts above each other line up. */
const axisWidth = 64;

/** Curves over training steps, with a vertical cursor at a step. No animation, no interaction of its own. */
export class LineChart {
  readonly canvas: HTMLCanvasElement;
  readonly #options: LineChartOptions;
  readonly #chart: LineOfPoints;
  #palette: Palette;
  #cursor: Point | null = null;
  #logarithmic = false;
  #firstStep = 0;
  #lastStep = 1;

  constructor(canvas: HTMLCanvasElement, options: LineChartOptions, palette: Palette) {
    this.canvas = canvas;
    this.#options = options;
    this.#palette = palette;
    this.#chart = new Chart<'line', Point[]>(canvas, this.#configuration());
    this.setPalette(palette);
  }

  /** Width that the layout gives the chart, in CSS pixels. */
  get width(): number {
    return this.canvas.parentElement?.clientWidth ?? 0;
  }

  /** Points of every curve, ascending by step; the horizontal axis runs from `firstStep` to `lastStep`. */
  setPoints(curves: readonly Point[][], lastStep: number, firstStep = 0): void {
    this.#chart.data.datasets.forEach((dataset, index) => {
      const points = curves[index] ?? [];
      dataset.data = points;
      // A line needs two points; a single one is drawn as a dot.
      const { dots, marker } = this.#options.curves[index]!;
      if (marker === undefined)
        dataset.pointRadius = points.length === 1 || (dots && points.length <= MAXIMUM_DOTS) ? 3 : 0;
      else {
        dataset.pointStyle = marker;
        dataset.pointRadius = markerRadius(points.length, index);
      }
    });
    this.#firstStep = firstStep;
    // A single place still gets an axis; hours and epochs have fractions.
    this.#lastStep = lastStep > firstStep ? lastStep : firstStep + 1;
    this.#chart.options.scales!.x!.min = this.#firstStep;
    this.#chart.options.scales!.x!.max = this.#lastStep;
    this.#chart.update();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.#chart.data.datasets.forEach((dataset, index) => {
      const curve = this.#options.curves[index]!;
      dataset.borderColor = curve.colour(palette);
      dataset.backgroundColor = curve.colour(palette);
      dataset.borderWidth = curve.width;
      dataset.borderDash = curve.dash ?? [];
    });
    this.#applyScales();
    this.#chart.update();
  }

  setLogarithmic(logarithmic: boolean): void {
    if (logarithmic === this.#logarithmic) return;
    this.#logarithmic = logarithmic;
    this.#applyScales();
    this.#chart.update();
  }

  /** Draws the cursor at a point of the curves, or none. */
  setCursor(cursor: Point | null): void {
    if (cursor === null && this.#cursor === null) return;
    this.#cursor = cursor;
    this.#chart.draw();
  }

  /** The step under a position, in CSS pixels from the left of the canvas. */
  stepAt(offsetX: number): number {
    return this.#chart.scales.x?.getValueForPixel(offsetX) ?? 0;
  }

  /** The chart as it is, without the cursor, drawn at another size in pixels. */
  picture(width: number, height: number): OffscreenCanvas {
    const chart = this.#chart;
    const cursor = this.#cursor;
    this.#cursor = null;
    chart.options.devicePixelRatio = 1;
    chart.resize(width, height);
    const picture = new OffscreenCanvas(width, height);
    picture.getContext('2d')?.drawImage(chart.canvas, 0, 0);
    this.#cursor = cursor;
    chart.options.devicePixelRatio = window.devicePixelRatio || 1;
    chart.resize();
    return picture;
  }

  #configuration(): ChartConfiguration<'line', Point[]> {
    return {
      type: 'line',
      data: { datasets: this.#options.curves.map(dataset) },
      options: {
        // Without animations a plain update() costs what update('none') costs, and does not keep old point styles.
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        parsing: false,
        normalized: true,
        events: [],
        layout: { padding: { top: 6, right: 10 } },
      },
      plugins: [this.#cursorPlugin()],
    };
  }

  #applyScales(): void {
    const { foreground, muted, grid, fontFamily, fontSize } = this.#palette;
    const font = { family: fontFamily, size: Math.max(fontSize - 2, 10) };
    const { formatTick, formatPlace, fromZero } = this.#options;
    const vertical: ScaleOptions<'linear'> | ScaleOptions<'logarithmic'> = {
      type: this.#logarithmic ? 'logarithmic' : 'linear',
      beginAtZero: fromZero === true && !this.#logarithmic,
      border: { display: false },
      grid: { color: grid, tickLength: 0 },
      ticks: {
        color: muted,
        font,
        padding: 6,
        maxTicksLimit: 5,
        callback: (value, _, ticks) => formatTick(Number(value), this.#logarithmic ? 0 : spacingOf(ticks)),
      },
      afterFit: scale => {
        scale.width = axisWidth;
      },
    };
    this.#chart.options.scales = {
      x: {
        type: 'linear',
        min: this.#firstStep,
        max: this.#lastStep,
        border: { color: grid },
        grid: { display: false },
        ticks: {
          color: muted,
          font,
          padding: 2,
          maxRotation: 0,
          autoSkipPadding: 24,
          ...(formatPlace === undefined ? { precision: 0 } : {}),
          includeBounds: false,
          callback: (value, _, ticks) =>
            formatPlace?.(Number(value), spacingOf(ticks)) ?? formatCount(Number(value)),
        },
      },
      y: vertical,
    };
    this.#chart.options.color = foreground;
  }

  #cursorPlugin(): Plugin<'line'> {
    return {
      id: 'cursor',
      afterDatasetsDraw: chart => {
        const horizontal = chart.scales.x;
        const vertical = chart.scales.y;
        if (this.#cursor === null || !horizontal || !vertical) return;
        const x = horizontal.getPixelForValue(this.#cursor.x);
        const { ctx, chartArea } = chart;
        if (!(x >= chartArea.left && x <= chartArea.right)) return;
        ctx.save();
        ctx.strokeStyle = this.#palette.muted;
        ctx.lineWidth = 1;
        ctx.beginPath();
        ctx.moveTo(Math.round(x) + 0.5, chartArea.top);
        ctx.lineTo(Math.round(x) + 0.5, chartArea.bottom);
        ctx.stroke();
        const y = vertical.getPixelForValue(this.#cursor.y);
        if (Number.isFinite(y)) {
          ctx.fillStyle = this.#palette.foreground;
          ctx.strokeStyle = this.#palette.background;
          ctx.lineWidth = 1.5;
          ctx.beginPath();
          ctx.arc(x, y, 4, 0, 2 * Math.PI);
          ctx.fill();
          ctx.stroke();
        }
        ctx.restore();
      },
    };
  }
}

/** Distance of evenly spaced ticks; 0 for a single one. */
function spacingOf(ticks: readonly { value: number }[]): number {
  return ticks.length > 1 ? Math.abs(ticks[1]!.value - ticks[0]!.value) : 0;
}

function dataset(): ChartDataset<'line', Point[]> {
  return {
    data: [],
    pointHitRadius: 0,
    // Dots at the ends of the axes are drawn whole.
    clip: 6,
    borderJoinStyle: 'round',
    spanGaps: false,
  };
}

/** Markers at few points, each curve's at others, so that those of curves that lie on each other are seen. */
function markerRadius(count: number, index: number): (context: { dataIndex: number }) => number {
  const every = Math.max(1, Math.ceil(count / MARKERS));
  const phase = every === 1 ? 0 : Math.floor((index * every) / 6) % every;
  return ({ dataIndex }) => (dataIndex % every === phase ? 4 : 0);
}
