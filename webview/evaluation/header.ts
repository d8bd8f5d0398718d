import { type RegionReading, regionReadings } from '../../trainer/evaluate/protocol.ts';
import { readingNames, readingNotes } from '../accuracy.ts';
import { type ButtonControl, createButton } from '../controls.ts';
import { element, setAttribute, setText } from '../dom.ts';
import { createSelect, type Select } from '../select.ts';
import type { SelectOption } from '../selectOption.ts';
import {
  type EvaluationState,
  type EvaluationTab,
  evaluationTabs,
  type ReportChoice,
  type ReportReference,
  referenceKey,
  type Side,
} from './protocol.ts';

const tabNames: Readonly<Record<EvaluationTab, string>> = {
  overview: 'Overview',
  classes: 'Classes',
  confusions: 'Confusions',
  segmentation: 'Segmentation',
};

const BROWSE = 'browse';
const NONE = '';

export interface HeaderOptions {
  remember: (change: Partial<EvaluationState>) => void;
  browse: (side: Side) => void;
  /** The menu of exports. */
  exports: HTMLElement;
}

/** Which reports are compared, the tabs, and how regions are read. */
export class Header {
  readonly root: HTMLElement;
  readonly #options: HeaderOptions;
  readonly #selects: Record<Side, Select>;
  readonly #swapButton: ButtonControl;
  readonly #tabs: HTMLElement[];
  readonly #reading: Select;
  readonly #top: Select;
  readonly #readings: HTMLElement;
  readonly #warning = element('p', { class: 'notice-line', attributes: { role: 'status' } });
  #choices: readonly ReportChoice[] = [];
  #state: EvaluationState;

  constructor(state: EvaluationState, options: HeaderOptions) {
    this.#state = state;
    this.#options = options;
    this.#swapButton = createButton({
      label: 'Swap before and after',
      icon: 'swap',
      appearance: 'icon',
      onClick: () => this.#swap(),
    });
    const pick = (side: Side, label: string): Select =>
      createSelect({ label, options: [], value: '', onChange: value => this.#pick(side, value) });
    this.#selects = { before: pick('before', 'Before'), after: pick('after', 'After') };
    this.#tabs = evaluationTabs.map(tab => {
      const button = element('button', {
        class: 'tab',
        text: tabNames[tab],
        attributes: {
          type: 'button',
          role: 'tab',
          'data-tab': tab,
          'aria-controls': 'evaluation-tab',
          id: `tab-${tab}`,
        },
      });
      button.addEventListener('click', () => options.remember({ tab }));
      return button;
    });
    const tabs = element(
      'div',
      { class: 'tabs', attributes: { role: 'tablist', 'aria-label': 'Views' } },
      ...this.#tabs,
    );
    tabs.addEventListener('keydown', event => this.#tabKey(event));
    this.#reading = createSelect({
      label: 'Read by',
      options: regionReadings.map(value => ({
        value,
        label: `${readingNames[value]}: ${readingNotes[value]}`,
      })),
      value: state.reading,
      onChange: value => options.remember({ reading: value as RegionReading, selection: null }),
    });
    this.#top = createSelect({
      label: 'Accuracy',
      options: [
        { value: '1', label: 'top-1' },
        { value: '5', label: 'top-5' },
      ],
      value: String(state.top),
      onChange: value => options.remember({ top: value === '5' ? 5 : 1 }),
    });
    this.#readings = element('div', { class: 'reading-choice' }, this.#reading.root, this.#top.root);
    this.root = element(
      'header',
      { class: 'evaluation-header' },
      element(
        'div',
        { class: 'header-line' },
        this.#selects.before.root,
        this.#swapButton,
        this.#selects.after.root,
        element('div', { class: 'spacer' }),
        options.exports,
      ),
      element('div', { class: 'header-line tab-line' }, tabs, this.#readings),
      this.#warning,
    );
    this.#warning.hidden = true;
  }

  update(state: EvaluationState, choices: readonly ReportChoice[]): void {
    this.#state = state;
    this.#choices = choices;
    for (const side of ['before', 'after'] as const) {
      this.#selects[side].setOptions(optionsOf(choices, side, state[side]));
      this.#selects[side].value = referenceKey(state[side]);
    }
    this.#swapButton.disabled = state.before === null;
    for (const tab of this.#tabs) {
      const isShown = tab.dataset.tab === state.tab;
      setAttribute(tab, 'aria-selected', String(isShown));
      tab.tabIndex = isShown ? 0 : -1;
    }
    this.#readings.hidden = state.tab === 'overview' || state.tab === 'segmentation';
    this.#top.root.hidden = state.tab !== 'classes';
    this.#reading.value = state.reading;
    this.#top.value = String(state.top);
  }

  /** Why the two reports do not compare like with like; empty for none. */
  warn(warnings: readonly string[]): void {
    setText(this.#warning, warnings.length === 0 ? '' : `Compare with care: ${warnings.join('; ')}.`);
    this.#warning.hidden = warnings.length === 0;
  }

  #pick(side: Side, value: string): void {
    if (value === BROWSE) {
      this.#selects[side].value = referenceKey(this.#state[side]);
      this.#options.browse(side);
      return;
    }
    const reference =
      this.#choices.find(choice => referenceKey(choice.reference) === value)?.reference ?? null;
    this.#options.remember(
      side === 'before' ? { before: reference, selection: null } : { after: reference, selection: null },
    );
  }

  #swap(): void {
    const { before, after } = this.#state;
    if (before !== null) this.#options.remember({ before: after, after: before, selection: null });
  }

  #tabKey(event: KeyboardEvent): void {
    const at = this.#tabs.findIndex(tab => tab.dataset.tab === this.#state.tab);
    const target = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: this.#tabs.length - 1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const tab = evaluationTabs[(target + this.#tabs.length) % this.#tabs.length]!;
    this.#options.remember({ tab });
    this.#tabs[evaluationTabs.indexOf(tab)]!.focus();
  }
}

/** The reports that can be picked for a side, the one in view among them whatever it is. */
function optionsOf(
  choices: readonly ReportChoice[],
  side: Side,
  shown: ReportReference | null,
): SelectOption[] {
  const options: SelectOption[] = choices.map(({ reference, label, group }) => ({
    value: referenceKey(reference),
    ...{ label, group },
  }));
  const key = referenceKey(shown);
  if (shown !== null && !options.some(({ value }) => value === key)) {
    const path = shown.kind === 'file' ? shown.path : shown.run;
    options.unshift({ value: key, label: path.split(/[\\/]/).slice(-2).join('/') });
  }
  if (side === 'before') options.unshift({ value: NONE, label: 'nothing' });
  else if (shown === null) options.unshift({ value: NONE, label: 'choose a report' });
  options.push({ value: BROWSE, label: 'Another report…' });
  return options;
}
