import type { StepRecord } from '../../trainer/protocol.ts';
import { createCheckbox, createSlider } from '../controls.ts';
import { element } from '../dom.ts';
import {
  formatMemory,
  formatMetric,
  formatName,
  formatScientific,
  formatSignificant,
  formatTick,
} from '../format.ts';
import { type Palette, withOpacity } from '../theme.ts';
import { ChartCard, type ChartCardOptions } from './chartCard.ts';
import type { EvaluationSummary } from './history.ts';
import { column, drawnPoints, type Quantity, type Series } from './series.ts';
import { smooth } from './smoothing.ts';

export interface ChartsOptions {
  /** What is shown between loss and evaluation and the smaller charts. */
  afterEvaluation: HTMLElement;
  smoothing: number;
  logScale: boolean;
  onSmoothing: (smoothing: number) => void;
  onLogScale: (logScale: boolean) => void;
}

/** The largest weight of the slider: an average over about a hundred steps. */
const MAXIMUM_SMOOTHING = 0.99;

/** The charts of the panel; a cursor set in one shows in all. */
export class Charts {
  readonly root = element('div', { class: 'charts' });
  readonly #loss: ChartCard;
  readonly #evaluation: ChartCard;
  readonly #learningRate: ChartCard;
  readonly #gradientNorm: ChartCard;
  readonly #speed: ChartCard;
  readonly #memory: ChartCard;
  readonly #cards: ChartCard[] = [];
  readonly #palette: Palette;
  #smoothing: number;
  #lossSeries: Series = { steps: [], values: [] };
  #lastStep = 0;
  /** Memory is drawn in GiB as soon as it reaches one. */
  #memoryInGib = false;

  constructor(options: ChartsOptions, palette: Palette) {
    this.#palette = palette;
    this.#smoothing = options.smoothing;
    this.#loss = this.#add({
      title: 'Loss',
      class: 'chart-large chart-loss',
      curves: [
        { colour: colours => withOpacity(colours.blue, colours.highContrast ? 0.7 : 0.35), width: 1 },
        { colour: colours => (colours.highContrast ? colours.foreground : colours.blue), width: 2 },
      ],
      format: formatMetric,
      controls: [this.#smoothingSlider(options.onSmoothing)],
    });
    this.#evaluation = this.#add({
      title: 'Evaluation',
      class: 'chart-large',
      curves: [{ colour: colours => colours.green, width: 2, dots: true }],
      format: formatMetric,
    });
    this.#learningRate = this.#add({
      title: 'Learning rate',
      curves: [{ colour: colours => colours.purple, width: 1.5 }],
      fromZero: true,
      format: value => formatScientific(value),
      formatTick: value => (value === 0 ? '0' : formatScientific(value, 1)),
    });
    this.#gradientNorm = this.#add({
      title: 'Gradient norm',
      curves: [{ colour: colours => colours.red, width: 1.5 }],
      format: formatSignificant,
      controls: [this.#logScaleBox(options)],
    });
    this.#gradientNorm.setLogarithmic(options.logScale);
    this.#speed = this.#add({
      title: 'Images/s',
      curves: [{ colour: colours => colours.green, width: 1.5 }],
      fromZero: true,
      format: formatSignificant,
    });
    this.#memory = this.#add({
      title: 'Memory',
      curves: [{ colour: colours => colours.blue, width: 1.5 }],
      fromZero: true,
      format: value => formatMemory(this.#memoryInGib ? value * 1024 : value),
      formatTick: (value, spacing) => `${formatTick(value, spacing)} ${this.#memoryInGib ? 'GiB' : 'MiB'}`,
    });
    this.root.append(...this.#cards.map(card => card.root));
    this.#evaluation.root.after(options.afterEvaluation);
  }

  /** Draws everything anew; of the evaluations the first metric gets a curve. */
  update(records: readonly StepRecord[], evaluations: readonly EvaluationSummary[]): void {
    const steps = column(records, 'step');
    const series = (name: Quantity): Series => ({ steps, values: column(records, name) });
    this.#lastStep = records[records.length - 1]?.step ?? 0;
    this.#lossSeries = series('loss');
    this.#drawLoss();
    this.#draw(this.#learningRate, series('lr'));
    this.#draw(this.#gradientNorm, series('gradNorm'));
    this.#draw(this.#speed, series('imagesPerSecond'));
    this.#drawMemory(series('memoryMib'));
    this.#drawEvaluation(evaluations[0]);
  }

  setPalette(palette: Palette): void {
    for (const card of this.#cards) card.setPalette(palette);
  }

  #add(options: Omit<ChartCardOptions, 'onCursor'>): ChartCard {
    const onCursor = (step: number | null): void => {
      for (const card of this.#cards) card.setCursor(step);
    };
    const card = new ChartCard({ ...options, onCursor }, this.#palette);
    this.#cards.push(card);
    return card;
  }

  #draw(card: ChartCard, series: Series): void {
    card.update(series, [drawnPoints(series, card.pointLimit)], this.#lastStep);
  }

  #drawLoss(): void {
    const { steps, values } = this.#lossSeries;
    const limit = this.#loss.pointLimit;
    const average = drawnPoints({ steps, values: smooth(values, this.#smoothing) }, limit);
    const raw = this.#smoothing > 0 ? drawnPoints(this.#lossSeries, limit) : [];
    this.#loss.update(this.#lossSeries, [raw, average], this.#lastStep);
  }

  #drawMemory({ steps, values }: Series): void {
    const mebibytes = Float64Array.from(values);
    this.#memoryInGib = mebibytes.some(value => value >= 1024);
    this.#draw(this.#memory, {
      steps,
      values: this.#memoryInGib ? mebibytes.map(value => value / 1024) : mebibytes,
    });
  }

  #drawEvaluation(summary: EvaluationSummary | undefined): void {
    this.#evaluation.root.hidden = summary === undefined;
    if (summary === undefined) return;
    this.#evaluation.title = formatName(summary.name);
    this.#draw(this.#evaluation, {
      steps: summary.points.map(point => point.step),
      values: summary.points.map(point => point.value),
    });
  }

  #smoothingSlider(onSmoothing: (smoothing: number) => void): HTMLElement {
    return createSlider({
      label: 'Smoothing',
      minimum: 0,
      maximum: MAXIMUM_SMOOTHING,
      step: 0.01,
      value: this.#smoothing,
      format: value => value.toFixed(2),
      onInput: value => {
        this.#smoothing = value;
        this.#drawLoss();
        onSmoothing(value);
      },
    });
  }

  #logScaleBox({ logScale, onLogScale }: ChartsOptions): HTMLElement {
    return createCheckbox('Log scale', logScale, checked => {
      this.#gradientNorm.setLogarithmic(checked);
      onLogScale(checked);
    });
  }
}
