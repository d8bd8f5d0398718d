import type { StepRecord } from '../../trainer/protocol.ts';
import { createCheckbox } from '../controls.ts';
import { createTable, element, setText } from '../dom.ts';
import { formatCount, formatMemory, formatMetric, formatScientific, formatSignificant } from '../format.ts';
import type { RunHistory } from './history.ts';

const LISTED_STEPS = 50;

/** The table is rebuilt at most this often, in milliseconds: reading it must stay possible while a run goes on. */
const REFRESH_INTERVAL = 1000;

const headings = ['Step', 'Epoch', 'Loss', 'Learning rate', 'Gradient norm', 'Images/s', 'Memory'];

/** The charts as text: a summary and the last steps. Always there for screen readers, visible on request. */
export class StepTable {
  readonly root: HTMLElement;
  readonly #summary = element('p', { class: 'table-summary' });
  readonly #body: HTMLElement;
  readonly #content: HTMLElement;
  readonly #scroller: HTMLElement;
  #refreshed = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(shown: boolean, onToggle: (shown: boolean) => void) {
    const { table, body } = createTable(`The last ${LISTED_STEPS} steps, the latest first`, headings);
    this.#body = body;
    this.#scroller = element(
      'div',
      { class: 'table-scroller', attributes: { role: 'region', 'aria-label': 'Last steps' } },
      table,
    );
    this.#content = element('div', {}, this.#summary, this.#scroller);
    const toggle = createCheckbox('Table', shown, checked => {
      this.#show(checked);
      onToggle(checked);
    });
    toggle.title = 'Show the last steps as a table';
    this.root = element('section', { class: 'steps' }, toggle, this.#content);
    this.#show(shown);
  }

  update(history: RunHistory): void {
    if (this.#timer !== null) return;
    const wait = this.#refreshed + REFRESH_INTERVAL - performance.now();
    if (wait <= 0) this.#fill(history);
    else {
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#fill(history);
      }, wait);
    }
  }

  #show(shown: boolean): void {
    this.#content.classList.toggle('screen-reader', !shown);
    // What scrolls must be reachable by key, what is invisible must not.
    this.#scroller.tabIndex = shown ? 0 : -1;
  }

  #fill(history: RunHistory): void {
    this.#refreshed = performance.now();
    setText(this.#summary, summaryOf(history));
    this.#body.replaceChildren(...history.steps.slice(-LISTED_STEPS).reverse().map(stepRow));
  }
}

function summaryOf(history: RunHistory): string {
  const first = history.steps[0];
  const last = history.lastStep;
  const best = history.bestLoss();
  if (!first || !last || !best) return 'No step has been recorded yet.';
  return (
    `Loss from ${formatMetric(first.loss)} at step ${formatCount(first.step)} to ${formatMetric(last.loss)} at step ` +
    `${formatCount(last.step)}, lowest ${formatMetric(best.loss)} at step ${formatCount(best.step)}. ` +
    `The last ${Math.min(history.steps.length, LISTED_STEPS)} steps, the latest first; metrics.jsonl of the run holds all.`
  );
}

function stepRow(record: StepRecord): HTMLElement {
  const cells = [
    formatCount(record.epoch),
    formatMetric(record.loss),
    formatScientific(record.lr),
    formatSignificant(record.gradNorm),
    formatSignificant(record.imagesPerSecond),
    formatMemory(record.memoryMib),
  ];
  return element(
    'tr',
    {},
    element('th', { text: formatCount(record.step), attributes: { scope: 'row' } }),
    ...cells.map(text => element('td', { text })),
  );
}
