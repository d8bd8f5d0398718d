import type { StepRecord } from '../../trainer/protocol.ts';
import { isTwelveNumber } from '../accuracy.ts';
import { element, setText } from '../dom.ts';
import {
  formatChange,
  formatCount,
  formatMemory,
  formatMetric,
  formatName,
  formatScientific,
  formatSignificant,
  UNKNOWN,
} from '../format.ts';
import type { EvaluationSummary, RunHistory } from './history.ts';

/** One figure: its name, its value, and a line of small print. */
class Figure {
  readonly root: HTMLElement;
  readonly #value = element('dd', { class: 'figure-value' });
  readonly #change = element('span', { class: 'figure-change' });
  readonly #note = element('dd', { class: 'figure-note' });

  constructor(label: string, title = '') {
    const term = element('dt', { title }, label, this.#change);
    this.root = element('div', { class: 'figure' }, term, this.#value, this.#note);
  }

  show(value: string, note = ''): void {
    setText(this.#value, value);
    setText(this.#note, note);
  }

  /** Values in the order in which they came, each with its own small print. */
  showSequence(parts: readonly { value: string; note: string }[], change: string): void {
    const key = JSON.stringify([parts, change]);
    if (this.root.dataset.key === key) return;
    this.root.dataset.key = key;
    this.root.classList.add('figure-sequence');
    this.#value.replaceChildren(
      ...parts.map(({ value, note }, index) =>
        element(
          'span',
          { class: index > 0 ? 'stage stage-next' : 'stage' },
          element('span', { text: value }),
          element('small', { text: note }),
        ),
      ),
    );
    this.#note.hidden = true;
    setText(this.#change, change);
  }
}

/** The numbers that matter now: the last step, the best loss, and evaluations before, at their best and last. */
export class Figures {
  readonly root = element('dl', { class: 'figures' });
  readonly #loss = new Figure('Loss');
  readonly #best = new Figure('Best loss');
  readonly #learningRate = new Figure('Learning rate');
  readonly #speed = new Figure('Images/s');
  readonly #memory = new Figure('Memory');
  /** Of mixed precision alone. */
  readonly #lossScale = new Figure('Loss scale');
  readonly #evaluations = new Map<string, Figure>();

  constructor() {
    this.root.append(
      ...[this.#loss, this.#best, this.#learningRate, this.#speed, this.#memory].map(figure => figure.root),
    );
  }

  update(history: RunHistory, evaluations: readonly EvaluationSummary[]): void {
    const last = history.lastStep;
    const best = history.bestLoss();
    this.#loss.show(formatMetric(last?.loss ?? null), last ? `step ${formatCount(last.step)}` : '');
    this.#best.show(formatMetric(best?.loss ?? null), best ? `step ${formatCount(best.step)}` : '');
    this.#learningRate.show(last ? formatScientific(last.lr) : UNKNOWN);
    this.#speed.show(last ? formatSignificant(last.imagesPerSecond) : UNKNOWN, waitNote(last?.dataWait));
    this.#memory.show(last ? formatMemory(last.memoryMib) : UNKNOWN);
    this.#showLossScale(last ?? null);
    this.#showEvaluations(evaluations);
  }

  #showLossScale(last: StepRecord | null): void {
    if (last?.lossScale === undefined) return;
    if (!this.#lossScale.root.isConnected) this.#memory.root.after(this.#lossScale.root);
    const { lossScale, skippedSteps = 0 } = last;
    const steps = skippedSteps === 1 ? 'step' : 'steps';
    this.#lossScale.show(formatCount(lossScale), `${formatCount(skippedSteps)} ${steps} skipped`);
  }

  /** The twelve numbers of region classification have a card of their own. */
  #showEvaluations(all: readonly EvaluationSummary[]): void {
    const evaluations = all.filter(({ name }) => !isTwelveNumber(name));
    for (const [name, figure] of this.#evaluations) {
      if (evaluations.some(evaluation => evaluation.name === name)) continue;
      figure.root.remove();
      this.#evaluations.delete(name);
    }
    for (const evaluation of evaluations) {
      let figure = this.#evaluations.get(evaluation.name);
      if (figure === undefined) {
        figure = new Figure(formatName(evaluation.name), evaluation.name);
        this.#evaluations.set(evaluation.name, figure);
        this.root.append(figure.root);
      }
      figure.showSequence(stagesOf(evaluation), changeOf(evaluation));
    }
  }
}

/** Training that waits for its images is slower than it need be. */
const waitNote = (share: number | undefined): string =>
  share === undefined || !Number.isFinite(share) ? '' : `${Math.round(share * 100)} % waiting for images`;

/** Before, best and last, without repeating what is the same evaluation. */
function stagesOf({ before, best, last }: EvaluationSummary): { value: string; note: string }[] {
  const stages = before === null ? [] : [{ value: formatMetric(before), note: 'before' }];
  if (best.step > 0 && best.step !== last.step) {
    stages.push({ value: formatMetric(best.value), note: `best, step ${formatCount(best.step)}` });
  }
  if (last.step > 0 || before === null) {
    const name = best.step === last.step ? 'last and best' : 'last';
    stages.push({ value: formatMetric(last.value), note: `${name}, step ${formatCount(last.step)}` });
  }
  return stages;
}

/** Change from before training to the last evaluation. */
function changeOf({ before, last }: EvaluationSummary): string {
  return before === null || last.step === 0 ? '' : formatChange(last.value - before);
}
