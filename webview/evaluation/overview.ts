import { classKinds } from '../../trainer/evaluate/protocol.ts';
import { kindNames, percent } from '../accuracy.ts';
import { CurveCard } from '../curveCard.ts';
import { element } from '../dom.ts';
import { formatCount } from '../format.ts';
import { NumbersCard } from '../numbersCard.ts';
import { createSelect, type Select } from '../select.ts';
import { type Palette, withOpacity } from '../theme.ts';
import type { Curve } from '../training/lineChart.ts';
import type { Comparison } from './comparison.ts';
import { epochCurves, sweepCurves } from './curves.ts';
import { retentionCard, sizesCard, sourceCard } from './detailCards.ts';
import type { EvaluationState, RunNumbers } from './protocol.ts';

const faded = (colour: string, palette: Palette): string =>
  palette.highContrast ? colour : withOpacity(colour, 0.6);

/** Values are fractions of 1. */
const inPercent = { formatValue: percent, scale: 100, unit: 'percent' } as const;

const blue: Curve = { colour: palette => palette.blue, width: 2, dots: true };
const green: Curve = { colour: palette => palette.green, width: 2, dots: true };
const reference: Curve = { colour: palette => palette.muted, width: 1.5, dash: [2, 4] };
/** The other run, or before. */
const otherBlue: Curve = {
  colour: palette => faded(palette.blue, palette),
  width: 1.5,
  dots: true,
  dash: [7, 4],
};
const otherGreen: Curve = {
  colour: palette => faded(palette.green, palette),
  width: 1.5,
  dots: true,
  dash: [7, 4],
};
const curves = [blue, green, otherBlue, otherGreen, reference];

/** The first tab: the twelve numbers, the charts, and where it all comes from. */
export class Overview {
  readonly root: HTMLElement;
  readonly epochs: CurveCard;
  readonly sweep: CurveCard;
  readonly #numbers = new NumbersCard();
  readonly #select: Select;
  readonly #source = element('div', { class: 'slot' });
  readonly #sizes = element('div', { class: 'slot' });
  readonly #retention = element('div', { class: 'slot' });

  constructor(
    state: EvaluationState,
    palette: Palette,
    remember: (change: Partial<EvaluationState>) => void,
  ) {
    this.epochs = new CurveCard(
      {
        title: 'Over epochs',
        formatPlace: epoch => (epoch === 0 ? 'before training' : `epoch ${epoch}`),
        ...inPercent,
        curves,
        empty: 'A run writes its numbers here after every epoch; this report belongs to none.',
      },
      palette,
    );
    this.sweep = new CurveCard(
      {
        title: 'Over input sizes',
        formatPlace: size => `${formatCount(size)} px`,
        ...inPercent,
        curves,
        empty:
          'Not measured. “clipself evaluate --sizes 224,448,896” names the same regions at several input sizes.',
      },
      palette,
    );
    this.#select = createSelect({
      label: 'Charts show',
      options: classKinds.flatMap(kind =>
        ([1, 5] as const).map(top => ({ value: `${kind}.${top}`, label: `${kindNames[kind]}, top-${top}` })),
      ),
      value: `${state.chart.kind}.${state.chart.top}`,
      onChange: value => {
        const [kind, top] = value.split('.');
        remember({ chart: { kind: kind === 'stuff' ? 'stuff' : 'thing', top: top === '5' ? 5 : 1 } });
      },
    });
    this.root = element(
      'div',
      { class: 'overview' },
      element('div', { class: 'overview-row wide-narrow' }, this.#numbers.root, this.#source),
      element('div', { class: 'chart-choice' }, this.#select.root),
      element('div', { class: 'overview-row' }, this.epochs.root, this.sweep.root),
      element('div', { class: 'overview-row wide-narrow' }, this.#sizes, this.#retention),
    );
  }

  update(comparison: Comparison, runs: readonly RunNumbers[], state: EvaluationState): void {
    const { kind, top } = state.chart;
    this.#select.value = `${kind}.${top}`;
    this.#numbers.update(comparison.before?.numbers ?? null, comparison.after.numbers);
    const what = `${kindNames[kind]}, top-${top}`;
    this.epochs.update(`${what} over epochs`, epochCurves(runs, kind, top));
    this.sweep.update(`${what} over input sizes`, sweepCurves(comparison, kind, top));
    this.#source.replaceChildren(sourceCard(comparison));
    this.#sizes.replaceChildren(sizesCard(comparison, top));
    const retention = retentionCard(comparison);
    this.#retention.replaceChildren(...(retention === null ? [] : [retention]));
    this.#retention.hidden = retention === null;
  }

  setPalette(palette: Palette): void {
    this.epochs.setPalette(palette);
    this.sweep.setPalette(palette);
  }
}
