import type { ComparedRun, StepMetric } from '../../trainer/compare/protocol.ts';
import { isTwelveNumber, numberTitle } from '../accuracy.ts';
import { CurveCard, type CurveCardOptions } from '../curveCard.ts';
import { element } from '../dom.ts';
import {
  formatCount,
  formatMetric,
  formatName,
  formatScientific,
  formatSignificant,
  formatTick,
  UNKNOWN,
} from '../format.ts';
import type { Palette } from '../theme.ts';
import { runLooks } from './looks.ts';
import type { Axis, ComparisonState } from './protocol.ts';
import { runCurve } from './runCurve.ts';
import { evaluatedNames, inLooks, type RunData } from './runData.ts';

/** Points of one curve at most. */
const MOST_POINTS = 1000;

type Known = (value: number) => string;

const stepCharts: readonly { metric: StepMetric; title: string; format: Known }[] = [
  { metric: 'loss', title: 'Loss', format: formatMetric },
  { metric: 'lr', title: 'Learning rate', format: value => formatScientific(value) },
  { metric: 'gradNorm', title: 'Gradient norm', format: formatSignificant },
  { metric: 'imagesPerSecond', title: 'Images per second', format: formatSignificant },
];

/** Evaluations under names that say more than their paths. */
const titleOf = (name: string): string => {
  if (name === 'heldOut.cosine') return 'Cosine on held-out patches';
  return isTwelveNumber(name) ? `${numberTitle(name)} mAcc` : formatName(name);
};

const formatRateTick = (rate: number): string => (rate === 0 ? '0' : formatScientific(rate, 1));

const formatPlace: Readonly<Record<Axis, (place: number) => string>> = {
  step: place => `step ${formatCount(place)}`,
  epoch: place => `epoch ${place.toFixed(2)}`,
  seconds: place => `${place < 1 ? `${(60 * place).toFixed(1)} min` : `${place.toFixed(2)} h`} of training`,
};

export const axisNames: Readonly<Record<Axis, string>> = {
  step: 'Steps',
  epoch: 'Epochs',
  seconds: 'Hours of training',
};

/** The charts of all runs on shared axes; a cursor set in one shows in all. */
export class Charts {
  readonly root = element('section', { class: 'charts', attributes: { 'aria-label': 'Curves' } });
  /** Numbers of region classification, of which there are many. */
  readonly regions = element('section', {
    class: 'charts',
    attributes: { 'aria-label': 'Curves of region classification' },
  });
  readonly #cards = new Map<string, CurveCard>();
  #palette: Palette;
  #axis: Axis = 'step';

  constructor(palette: Palette) {
    this.#palette = palette;
  }

  /** Those in view, for pictures that are saved. */
  get cards(): CurveCard[] {
    return [...this.#cards.values()].filter(card => !card.isEmpty);
  }

  update(state: ComparisonState, runs: readonly ComparedRun[], data: ReadonlyMap<string, RunData>): void {
    const { axis, smoothing } = state;
    this.#axis = axis;
    const shown = state.runs.flatMap(({ directory, look }) => {
      const run = data.get(directory);
      if (run === undefined || state.hidden.includes(directory)) return [];
      const name = runs.find(other => other.directory === directory)?.name ?? '';
      return [{ look, name, run }];
    });
    for (const { metric, title, format } of stepCharts) {
      const card = this.#card(metric, { title, format });
      const curves = shown.map(({ look, name, run }) => ({
        look,
        name,
        // A schedule is exact: smoothing it would draw another one.
        points: run.stepPoints(metric, axis, metric === 'lr' ? 0 : smoothing, MOST_POINTS),
      }));
      card.update(title, inLooks(curves, runLooks.length));
    }
    for (const name of evaluatedNames(data.values())) {
      const title = titleOf(name);
      const card = this.#card(name, { title, format: formatMetric });
      const curves = shown.map(({ look, name: runName, run }) => ({
        look,
        name: runName,
        points: run.evaluationPoints(name, axis),
      }));
      card.update(title, inLooks(curves, runLooks.length));
      card.root.hidden = card.isEmpty;
    }
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    for (const card of this.#cards.values()) card.setPalette(palette);
  }

  #card(name: string, { title, format }: { title: string; format: Known }): CurveCard {
    const known = this.#cards.get(name);
    if (known !== undefined) return known;
    const options: CurveCardOptions = {
      title,
      formatPlace: place => formatPlace[this.#axis](place),
      formatValue: value => (value === null || !Number.isFinite(value) ? UNKNOWN : format(value)),
      formatPlaceTick: (place, spacing) =>
        this.#axis === 'step'
          ? Number.isInteger(place)
            ? formatCount(place)
            : ''
          : formatTick(place, spacing),
      formatTick: (value, spacing) => (name === 'lr' ? formatRateTick(value) : formatTick(value, spacing)),
      curves: runLooks.map((_, look) => runCurve(look)),
      nearest: true,
      empty: 'Nothing was measured yet.',
      onCursor: place => {
        for (const card of this.#cards.values()) card.setCursor(place);
      },
    };
    const card = new CurveCard(options, this.#palette);
    card.root.dataset.metric = name;
    this.#cards.set(name, card);
    const isMain = stepCharts.some(({ metric }) => metric === name) || name === 'heldOut.cosine';
    (isMain ? this.root : this.regions).append(card.root);
    return card;
  }
}
