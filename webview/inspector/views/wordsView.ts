import { clusterColour } from '../../../trainer/dense/colourMaps.ts';
import type { Layer } from '../../../trainer/dense/overlay.ts';
import { valueRange } from '../../../trainer/dense/similarity.ts';
import {
  bestOf,
  mapOfWord,
  type NearWord,
  nearestWordLabels,
  segmentationLayer,
  type Words,
  wordCosines,
  wordProbabilities,
  wordShares,
} from '../../../trainer/dense/words.ts';
import { type CheckboxControl, createButton, createCheckbox, createSlider } from '../../controls.ts';
import { cssColour } from '../../cosineColour.ts';
import { element } from '../../dom.ts';
import { formatCosine } from '../../format.ts';
import { icon } from '../../icons.ts';
import { colourMapOf } from '../cellPixels.ts';
import { isValidPatch, patchAt, patchName, validStatistics } from '../featureMap.ts';
import { type ProgressListener, problemOf } from '../host.ts';
import { scalarLegend } from '../legend.ts';
import type { CopyCommandQuery } from '../protocol/requests.ts';
import type { WordStore } from '../wordStore.ts';
import { cellTable } from './cellTable.ts';
import { nearWordList, nearWordText, RANKED_WORDS } from './nearWordList.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';
import { WordsField } from './wordsField.ts';

/** Stops of the slider. CLIP was trained at 0.01; 0 leaves the nearest word alone. */
const TEMPERATURES = [0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

/** What a map and a list of words give, until one of them changes. */
interface Named {
  words: Words;
  /** [rows, columns, words]. */
  cosines: Float32Array;
  labels: Int16Array;
  /** At the temperature of the last segmentation. */
  segmentation: { temperature: number; layer: Layer; shares: number[] } | null;
  /** Map of the word that was shown last. */
  shown: { word: string; values: Float32Array } | null;
}

/** Patches named by words: a segmentation, the map of a word, and the words nearest to the patch under the cursor. */
export class WordsView implements View {
  readonly id = 'words';
  readonly label = 'Words';
  readonly help = 'Type words; point at a patch to see the nearest, press a word to see its map.';
  readonly controls: HTMLElement;
  readonly #context: ViewContext;
  readonly #store: WordStore;
  readonly #field: WordsField;
  readonly #temperature: HTMLElement;
  readonly #ensemble: CheckboxControl;
  readonly #useModel: HTMLElement;
  /** By map key, for the words that it was made with. */
  readonly #named = new Map<string, Named>();

  constructor(context: ViewContext, store: WordStore) {
    this.#context = context;
    this.#store = store;
    this.#field = new WordsField(store);
    const { temperature, prompts } = store.settings;
    this.#temperature = createSlider({
      label: 'Temperature',
      minimum: 0,
      maximum: TEMPERATURES.length - 1,
      step: 1,
      value: nearestStop(temperature),
      format: stop => (stop === 0 ? 'nearest' : String(TEMPERATURES[stop])),
      onInput: stop => store.change({ temperature: TEMPERATURES[stop]! }),
    });
    this.#temperature.dataset.control = 'temperature';
    this.#temperature.title = 'Of the softmax over the words that mixes their colours';
    this.#ensemble = createCheckbox('Prompt ensemble', prompts === 'ensemble', checked =>
      store.change({ prompts: checked ? 'ensemble' : 'plain' }),
    );
    this.#ensemble.title = 'Read each word in many sentences and take their mean, as evaluations do';
    this.#useModel = createButton({
      label: 'Without file',
      onClick: () => store.change({ embeddings: null }),
    });
    this.controls = element(
      'div',
      { class: 'view-controls' },
      this.#field.root,
      this.#temperature,
      this.#ensemble,
      createButton({ label: 'Embeddings…', onClick: () => void this.#browse() }),
      this.#useModel,
    );
  }

  refreshControls(): void {
    const { shown, embeddings } = this.#store.settings;
    this.#field.refresh();
    this.#temperature.hidden = shown !== null;
    this.#ensemble.hidden = embeddings !== null;
    this.#useModel.hidden = embeddings === null;
    this.#useModel.title =
      embeddings === null ? '' : `Let the model read the words, instead of ${embeddings}`;
  }

  async load(
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    await this.#context.loadValues(columns);
    await this.#store.load(columns, signal, progress);
  }

  picture(column: ReadyColumn): Picture | null {
    const { list, shown } = this.#store.settings;
    if (list.length === 0) return plainPicture(element('p', { class: 'empty', text: this.help }), this.help);
    const named = this.#namedOf(column);
    const problem = this.#store.problemOf(column);
    if (named === null) {
      if (problem === null)
        return plainPicture(element('p', { class: 'empty', text: 'Reading…' }), 'reading');
      return plainPicture(problemLine(problem.message), problem.message);
    }
    const pending = list.length - named.words.names.length;
    const notes = [
      pending === 0 ? '' : `${pending} more to be read`,
      // The words that are there can be looked at meanwhile.
      pending > 0 && problem !== null ? problem.message : '',
    ].filter(note => note !== '');
    return shown !== null && named.words.names.includes(shown)
      ? this.#mapPicture(column, named, shown, notes)
      : this.#segmentationPicture(column, named, notes);
  }

  describe(column: ReadyColumn, patch: number): string {
    const named = this.#namedOf(column);
    return named === null ? '' : nearWordText(nearestOf(named, patch).slice(0, 3), named.words);
  }

  pick(column: ReadyColumn, patch: number): boolean {
    const named = this.#namedOf(column);
    const label = named?.labels[patch] ?? -1;
    if (named === null || label < 0) return false;
    this.#show(named.words.names[label]!);
    return true;
  }

  moved(): void {
    this.#context.redraw();
  }

  csv(column: ReadyColumn): string[][] {
    const named = this.#namedOf(column);
    if (named === null) return [];
    const { words, cosines, labels } = named;
    const { names } = words;
    return cellTable(column.map.grid, ['word', ...names], patch => [
      names[labels[patch]!] ?? '',
      ...Array.from(cosines.subarray(patch * names.length, (patch + 1) * names.length), String),
    ]);
  }

  commandOptions(): Partial<CopyCommandQuery> {
    return { words: this.#store.settings };
  }

  #namedOf(column: ReadyColumn): Named | null {
    const words = this.#store.of(column);
    if (words === null) return null;
    const { key, values } = column.map;
    if (values.features === null) return null;
    let named = this.#named.get(key);
    if (named?.words !== words) {
      const cosines = wordCosines(values.features, words);
      const labels = nearestWordLabels(cosines, words.names.length);
      named = { words, cosines, labels, segmentation: null, shown: null };
      if (this.#named.size >= 16) this.#named.clear();
      this.#named.set(key, named);
    }
    return named;
  }

  #segmentationPicture(column: ReadyColumn, named: Named, notes: readonly string[]): Picture {
    const { temperature } = this.#store.settings;
    const { names } = named.words;
    const { layer, shares } = segmentationOf(named, column, temperature);
    const how = temperature === 0 ? 'the nearest word of each patch' : `softmax at ${temperature}`;
    return {
      cells: layer,
      marks: null,
      legend: () => [this.#legend(column, named, shares, null)],
      legendKey: this.#legendKey(column, named, shares.join()),
      shares,
      names,
      facts: [`${how} · ${names.length} words`, ...notes].join(' · '),
    };
  }

  #mapPicture(column: ReadyColumn, named: Named, word: string, notes: readonly string[]): Picture {
    const { names } = named.words;
    if (named.shown?.word !== word)
      named.shown = { word, values: mapOfWord(named.cosines, names.length, names.indexOf(word)) };
    const { values } = named.shown;
    const colourMap = colourMapOf(this.#context.state.colourMap);
    const { low, high } = valueRange(values);
    const statistics = validStatistics(column.map.grid, values);
    const { shares } = segmentationOf(named, column, this.#store.settings.temperature);
    return {
      cells: { kind: 'values', values, low, high, colourMap },
      marks: null,
      legend: () => [
        scalarLegend(colourMap, [low, high], value => value.toFixed(3), `Cosine with ${word}`),
        this.#legend(column, named, shares, word),
      ],
      legendKey: this.#legendKey(column, named, `${word}|${low}|${high}|${colourMap}`),
      facts: [
        `cosine with “${word}”: ${formatCosine(low)} … ${formatCosine(high)}, mean ${formatCosine(statistics?.mean ?? null)}`,
        ...notes,
      ].join(' · '),
    };
  }

  #legendKey(column: ReadyColumn, { words }: Named, what: string): string {
    return `${what}|${words.names.join()}|${this.#patchUnderCursor(column)}`;
  }

  /** The words with their colours and shares, and beside them those of the patch under the cursor. */
  #legend(column: ReadyColumn, named: Named, shares: readonly number[], shown: string | null): HTMLElement {
    const { names } = named.words;
    const entries = names.map((name, word) => {
      const share = `${(shares[word]! * 100).toFixed(1)} %`;
      const swatch = element('span', { class: 'swatch', attributes: { 'aria-hidden': 'true' } });
      swatch.style.background = cssColour(clusterColour(word));
      const button = element(
        'button',
        {
          class: 'cluster',
          attributes: {
            type: 'button',
            'aria-pressed': String(name === shown),
            'aria-label': `${name}, ${share} of the image`,
          },
        },
        swatch,
        element('span', { text: name }),
        element('span', { class: 'cluster-share', text: share }),
      );
      button.addEventListener('click', () => this.#show(name));
      return button;
    });
    const patch = this.#patchUnderCursor(column);
    const place = patch < 0 ? 'the patch under the cursor' : patchName(column.map.grid, patch);
    return element(
      'div',
      { class: 'words-legend' },
      nearWordList(`Nearest to ${place}`, patch < 0 ? [] : nearestOf(named, patch), names),
      element(
        'div',
        {
          class: 'clusters',
          attributes: { role: 'group', 'aria-label': 'Words; press one to see its map' },
        },
        ...entries,
      ),
    );
  }

  #patchUnderCursor({ map: { grid } }: ReadyColumn): number {
    const { hovered } = this.#context.cursor;
    const patch = hovered === null ? -1 : patchAt(grid, hovered);
    return isValidPatch(grid, patch) ? patch : -1;
  }

  /** The map of a word; of the one that is shown, the segmentation again. */
  #show(word: string): void {
    this.#store.change({ shown: this.#store.settings.shown === word ? null : word });
  }

  async #browse(): Promise<void> {
    try {
      const file = await this.#context.host.request('browseWords', null);
      if (file !== null) this.#store.change({ embeddings: file });
    } catch (error) {
      this.#context.say(problemOf(error).message);
    }
  }
}

function segmentationOf(
  named: Named,
  { map }: ReadyColumn,
  temperature: number,
): NonNullable<Named['segmentation']> {
  if (named.segmentation?.temperature !== temperature) {
    const { cosines, words } = named;
    const count = words.names.length;
    const probabilities = wordProbabilities(cosines, count, temperature);
    named.segmentation = {
      temperature,
      layer: segmentationLayer(cosines, count, temperature),
      shares: wordShares(probabilities, count, map.grid),
    };
  }
  return named.segmentation;
}

function nearestOf({ cosines, words }: Named, patch: number): NearWord[] {
  const count = words.names.length;
  return bestOf(cosines.subarray(patch * count, (patch + 1) * count), RANKED_WORDS);
}

function nearestStop(temperature: number): number {
  const distances = TEMPERATURES.map(stop => Math.abs(stop - temperature));
  return distances.indexOf(Math.min(...distances));
}

function plainPicture(content: HTMLElement, key: string): Picture {
  return { cells: null, marks: null, legend: () => [content], legendKey: key, facts: '' };
}

function problemLine(message: string): HTMLElement {
  return element('p', { class: 'view-problem', attributes: { role: 'alert' } }, icon('error'), message);
}
