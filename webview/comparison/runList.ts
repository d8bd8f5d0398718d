import type { ComparedRun } from '../../trainer/compare/protocol.ts';
import { createButton } from '../controls.ts';
import { drawSample } from '../curveSample.ts';
import { element } from '../dom.ts';
import { formatCount } from '../format.ts';
import { icon } from '../icons.ts';
import type { Palette } from '../theme.ts';
import { stateLabels } from '../training/runStates.ts';
import { runLooks } from './looks.ts';
import type { ComparisonState } from './protocol.ts';
import { runCurve } from './runCurve.ts';

export interface RunListActions {
  setBase(directory: string): void;
  toggle(directory: string): void;
  remove(directory: string): void;
  open(directory: string): void;
}

/** The runs with their looks: the legend of everything below, and where the base run is chosen. */
export class RunList {
  readonly root = element('ul', {
    class: 'run-list',
    attributes: { 'aria-label': 'Runs that are compared' },
  });
  readonly #actions: RunListActions;
  #key = '';

  constructor(actions: RunListActions) {
    this.#actions = actions;
  }

  update(state: ComparisonState, runs: readonly ComparedRun[], palette: Palette): void {
    const key = JSON.stringify([state.runs, state.base, state.hidden, palette.light, runs.map(factsOf)]);
    if (key === this.#key) return;
    this.#key = key;
    // What had the focus gets it back in the new list.
    const focused = document.activeElement?.closest<HTMLElement>('[data-action]')?.dataset.action;
    const entries = state.runs.map(({ directory, look }) => {
      const run = runs.find(other => other.directory === directory);
      return this.#entry(state, directory, look, run, palette);
    });
    this.root.replaceChildren(...entries);
    if (focused !== undefined)
      [...this.root.querySelectorAll<HTMLElement>('[data-action]')]
        .find(({ dataset }) => dataset.action === focused)
        ?.focus();
  }

  #entry(
    { base, hidden, runs }: ComparisonState,
    directory: string,
    look: number,
    run: ComparedRun | undefined,
    palette: Palette,
  ): HTMLElement {
    const name = run?.name ?? directory;
    const isHidden = hidden.includes(directory);
    const { marker, name: colour } = runLooks[look]!;
    const toggle = element(
      'button',
      {
        class: 'run-name',
        title: `${directory}\n${isHidden ? 'Show' : 'Hide'} its curves`,
        attributes: {
          type: 'button',
          'aria-pressed': String(!isHidden),
          'aria-label': `${name}, ${colour} with ${markerNames[marker]}, curves ${isHidden ? 'hidden' : 'shown'}`,
          'data-action': `toggle ${directory}`,
        },
      },
      drawSample(runCurve(look), palette),
      element('span', { text: name }),
    );
    toggle.addEventListener('click', () => this.#actions.toggle(directory));
    const radio = element('input', {
      attributes: {
        type: 'radio',
        name: 'base',
        'aria-label': `Compare with ${name}`,
        'data-action': `base ${directory}`,
      },
    });
    radio.checked = directory === base;
    radio.addEventListener('change', () => this.#actions.setBase(directory));
    const problem = run?.problem ?? null;
    const open = createButton({
      label: `Open the training panel of ${name}`,
      icon: 'log',
      appearance: 'icon',
      onClick: () => this.#actions.open(directory),
    });
    const remove = createButton({
      label: `Take ${name} out of the comparison`,
      icon: 'close',
      appearance: 'icon',
      onClick: () => this.#actions.remove(directory),
    });
    remove.disabled = runs.length < 2;
    return element(
      'li',
      { class: isHidden ? 'run hidden-run' : 'run', attributes: { 'data-run': directory } },
      toggle,
      element('span', { class: 'run-facts', text: run === undefined ? 'reading…' : factsOf(run) }),
      ...(problem === null
        ? []
        : [element('span', { class: 'run-problem', attributes: { role: 'alert' } }, icon('error'), problem)]),
      element('label', { class: 'base-choice' }, radio, 'base'),
      open,
      remove,
    );
  }
}

const markerNames = {
  circle: 'circles',
  rect: 'squares',
  rectRot: 'diamonds',
  triangle: 'triangles',
  cross: 'upright crosses',
  crossRot: 'crosses',
} as const;

function factsOf({ problem, state, step, totalSteps }: ComparedRun): string {
  if (problem !== null) return 'cannot be read';
  return `${state === null ? '' : stateLabels[state]} · step ${formatCount(step)} of ${formatCount(totalSteps)}`;
}
