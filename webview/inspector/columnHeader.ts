import type { ReadOut } from '../../trainer/inspect/protocol.ts';
import { type ButtonControl, createButton } from '../controls.ts';
import { element, setAttribute, setText } from '../dom.ts';
import { formatCount } from '../format.ts';
import { createSelect } from '../select.ts';
import type { SelectOption } from '../selectOption.ts';
import { modelOptions, runOfSource } from './modelOptions.ts';
import { SIZES } from './panelState.ts';
import {
  type ColumnSettings,
  type ModelChoice,
  type ModelDescription,
  type ModelSource,
  type RunSteps,
  sourceKey,
} from './protocol/models.ts';
import { readOutLabels } from './readOutLabels.ts';

export interface ColumnHeaderActions {
  change: (change: Partial<ColumnSettings>) => void;
  browse: () => void;
  /** False while the column's map is on its way. */
  isReady: () => boolean;
  remove: () => void;
}

/** Time that a saved step is shown while they are played, in milliseconds; longer where its map takes longer. */
const PLAY_INTERVAL = 700;

const BROWSE = 'browse';
const NONE = 'none';

/** Model, size, read-out, layer and, for a run, the saved step of one column. */
export class ColumnHeader {
  readonly root: HTMLElement;
  readonly #actions: ColumnHeaderActions;
  readonly #remove: HTMLElement;
  readonly #model;
  readonly #size;
  readonly #readOut;
  readonly #layer;
  readonly #stepInput = element('input', { attributes: { type: 'range', step: '1', min: '0' } });
  readonly #stepText = element('output');
  readonly #step: HTMLElement;
  readonly #play: ButtonControl;
  #playing: ReturnType<typeof setInterval> | null = null;
  #choices: readonly ModelChoice[] = [];
  #runs: readonly RunSteps[] = [];
  #settings: ColumnSettings;

  constructor(settings: ColumnSettings, actions: ColumnHeaderActions) {
    this.#settings = settings;
    this.#actions = actions;
    this.#model = createSelect({
      label: 'Model',
      hideLabel: true,
      options: [],
      value: NONE,
      onChange: value => this.#chooseModel(value),
    });
    this.#model.root.classList.add('model-field');
    this.#size = createSelect({
      label: 'Size',
      options: [],
      value: '',
      onChange: value => actions.change({ size: Number(value) }),
    });
    this.#readOut = createSelect({
      label: 'Read-out',
      options: [],
      value: '',
      onChange: value => {
        const readOut = value as ReadOut;
        actions.change(readOut === 'maskAttention' ? { readOut, layer: null } : { readOut });
      },
    });
    this.#layer = createSelect({
      label: 'Layer',
      options: [],
      value: '',
      onChange: value => actions.change({ layer: value === 'last' ? null : Number(value) }),
    });
    this.#remove = createButton({
      label: 'Remove column',
      appearance: 'icon',
      icon: 'close',
      onClick: actions.remove,
    });
    this.#play = createButton({
      label: 'Play the saved steps',
      appearance: 'icon',
      icon: 'resume',
      onClick: () => this.#togglePlay(),
    });
    this.#step = element(
      'div',
      { class: 'column-line' },
      this.#play,
      element('label', { class: 'slider step-slider' }, 'Step', this.#stepInput, this.#stepText),
    );
    this.#stepInput.addEventListener('input', () => {
      this.#stopPlaying();
      this.#chooseStep();
    });
    this.root = element(
      'header',
      { class: 'column-header' },
      element('div', { class: 'column-line' }, this.#model.root, this.#remove),
      element('div', { class: 'column-line' }, this.#size.root, this.#readOut.root, this.#layer.root),
      this.#step,
    );
  }

  update(
    settings: ColumnSettings,
    choices: readonly ModelChoice[],
    runs: readonly RunSteps[],
    description: ModelDescription | null,
    { removable, readsRegions }: { removable: boolean; readsRegions: boolean },
  ): void {
    this.#settings = settings;
    this.#choices = choices;
    this.#runs = runs;
    const { source } = settings;
    this.#remove.hidden = !removable;
    this.#model.setOptions([
      ...(source === null ? [{ value: NONE, label: 'Choose a model' }] : []),
      ...modelOptions(choices, source),
      { value: BROWSE, label: 'Browse…' },
    ]);
    this.#model.value = source === null ? NONE : sourceKey(source);
    this.#size.setOptions(sizeOptions(settings.size, description?.sizeStep ?? 1));
    this.#size.value = String(settings.size);
    const readOuts = offeredReadOuts(settings.readOut, description, readsRegions);
    this.#readOut.setOptions(readOuts.map(value => ({ value, label: readOutLabels[value] })));
    this.#readOut.value = settings.readOut;
    this.#layer.setOptions(layerOptions(description?.layers ?? 0, settings.layer));
    this.#layer.disabled = settings.readOut === 'maskAttention';
    this.#layer.value = settings.layer === null ? 'last' : String(settings.layer);
    this.#updateStep(source);
  }

  /** Names the controls for screen readers once the column's place is known. */
  setPlace(index: number): void {
    setAttribute(this.root, 'role', 'group');
    setAttribute(this.root, 'aria-label', `Column ${index + 1}`);
  }

  #chooseModel(value: string): void {
    if (value === NONE) return;
    if (value === BROWSE) {
      // The list shows what is in force until the dialogue has an answer.
      this.#model.value = this.#settings.source === null ? NONE : sourceKey(this.#settings.source);
      this.#actions.browse();
      return;
    }
    const choice = this.#choices.find(({ source }) => sourceKey(source) === value);
    if (choice) this.#actions.change({ source: choice.source, layer: null, readOut: 'value' });
  }

  /** Stops of the step slider: every checkpoint, then the student that the run wrote at its end. */
  #stops(source: ModelSource): (number | null)[] {
    const run = runOfSource(this.#runs, source);
    if (run === null) return [];
    return run.hasStudent ? [...run.steps, null] : run.steps;
  }

  #updateStep(source: ModelSource | null): void {
    const stops = source?.kind === 'run' ? this.#stops(source) : [];
    this.#step.hidden = source?.kind !== 'run' || stops.length < 2;
    if (source?.kind !== 'run' || this.#step.hidden) return;
    const index = stops.indexOf(source.step);
    this.#stepInput.max = String(stops.length - 1);
    this.#stepInput.value = String(index < 0 ? stops.length - 1 : index);
    const text = source.step === null ? 'student' : formatCount(source.step);
    setText(this.#stepText, text);
    setAttribute(this.#stepInput, 'aria-valuetext', source.step === null ? text : `step ${text}`);
  }

  /** Ends the timer of the playing steps. */
  dispose(): void {
    this.#stopPlaying();
  }

  #togglePlay(): void {
    if (this.#playing !== null) {
      this.#stopPlaying();
      return;
    }
    const last = Number(this.#stepInput.max);
    if (this.#stepInput.valueAsNumber >= last) this.#showStop(0);
    this.#play.setAttribute('aria-pressed', 'true');
    this.#playing = setInterval(() => {
      if (!this.#actions.isReady()) return;
      if (this.#step.hidden || this.#stepInput.valueAsNumber >= Number(this.#stepInput.max))
        this.#stopPlaying();
      else this.#showStop(this.#stepInput.valueAsNumber + 1);
    }, PLAY_INTERVAL);
  }

  #showStop(index: number): void {
    this.#stepInput.value = String(index);
    this.#chooseStep();
  }

  #stopPlaying(): void {
    if (this.#playing !== null) clearInterval(this.#playing);
    this.#playing = null;
    this.#play.setAttribute('aria-pressed', 'false');
  }

  #chooseStep(): void {
    const { source } = this.#settings;
    if (source?.kind !== 'run') return;
    const step = this.#stops(source)[this.#stepInput.valueAsNumber];
    if (step !== undefined) this.#actions.change({ source: { ...source, step } });
  }
}

/** Mask attention is offered where regions are read, and stays listed while it is in force. */
function offeredReadOuts(
  current: ReadOut,
  description: ModelDescription | null,
  readsRegions: boolean,
): ReadOut[] {
  if (description === null) return [current];
  const offered = description.maskAttention && (readsRegions || current === 'maskAttention');
  return offered ? [...description.readOuts, 'maskAttention'] : description.readOuts;
}

/** Sizes that the model takes, and the one in force. */
function sizeOptions(current: number, step: number): SelectOption[] {
  const taken = SIZES.filter(size => size % step === 0);
  const sizes = [...new Set<number>([...taken, current])].sort((a, b) => a - b);
  return sizes.map(size => ({ value: String(size), label: `${size} px` }));
}

function layerOptions(layers: number, current: number | null): SelectOption[] {
  const count = Math.max(layers, current ?? 0);
  const options = [{ value: 'last', label: 'Last' }];
  for (let layer = count - 1; layer >= 1; layer--)
    options.push({ value: String(layer), label: String(layer) });
  if (current !== null && current === count)
    options.splice(1, 0, { value: String(current), label: String(current) });
  return options;
}
