import { clusterColour } from '../../../trainer/dense/colourMaps.ts';
import { clusterWords, type Words } from '../../../trainer/dense/words.ts';
import { createCheckbox, createSlider } from '../../controls.ts';
import { cssColour } from '../../cosineColour.ts';
import { element } from '../../dom.ts';
import { formatCosine } from '../../format.ts';
import type { ProgressListener } from '../host.ts';
import { K_RANGE } from '../panelState.ts';
import type { ClusterSettings, CopyCommandQuery, KMeansMap } from '../protocol/requests.ts';
import type { InspectorState } from '../protocol/state.ts';
import type { WordStore } from '../wordStore.ts';
import { cellTable } from './cellTable.ts';
import { LastShown } from './lastShown.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';
import { WordsField } from './wordsField.ts';

/** Clusterings of single maps that are kept: a slider that goes back asks for nothing. */
const KEPT_CLUSTERINGS = 192;

/** Numbers of clusters that the slider has. */
const allNumbers = Array.from(
  { length: K_RANGE.maximum - K_RANGE.minimum + 1 },
  (_, index) => K_RANGE.minimum + index,
);

interface Clusters {
  labels: Int16Array;
  shares: number[];
}

/** The word nearest to a cluster's mean feature. */
interface ClusterName {
  word: string;
  cosine: number;
}

/** Clusters of the patches. All columns are clustered in one request, so that like clusters have like colours. */
export class KMeansView implements View {
  readonly id = 'kMeans';
  readonly label = 'K-Means';
  readonly help = 'Click a patch, or press Enter, to show its cluster alone.';
  readonly controls: HTMLElement;
  readonly #context: ViewContext;
  readonly #words: WordStore;
  readonly #field: WordsField;
  readonly #last = new LastShown<Clusters>();
  /** By the labels that they are of, for the words that they were found among. */
  readonly #names = new WeakMap<Int16Array, { words: Words; names: (ClusterName | null)[] }>();
  /** By `settings|keys|key`, oldest first. */
  readonly #clusters = new Map<string, Clusters>();
  #highlighted = -1;
  readonly #masked = new Map<Int16Array, Int16Array>();
  /** Requests under way, and whether the settings changed since the last of them was sent. */
  #asking = 0;
  #changed = false;

  constructor(context: ViewContext, words: WordStore) {
    this.#context = context;
    this.#words = words;
    this.#field = new WordsField(words);
    const { k, smooth } = context.state.kMeans;
    const slider = createSlider({
      label: 'Clusters',
      minimum: K_RANGE.minimum,
      maximum: K_RANGE.maximum,
      step: 1,
      value: k,
      format: String,
      onInput: value => this.#change({ k: value }),
    });
    slider.dataset.control = 'k';
    const smoothing = createCheckbox('Smooth borders', smooth, checked => this.#change({ smooth: checked }));
    smoothing.title = 'Median filter of 3 by 3 patches over the clusters';
    this.controls = element('div', { class: 'view-controls' }, slider, smoothing, this.#field.root);
  }

  refreshControls(): void {
    this.#field.refresh();
  }

  async load(
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    const { kMeans } = this.#context.state;
    this.#asking++;
    try {
      await this.#fetch(columns, kMeans, signal, progress);
    } finally {
      this.#asking--;
      if (this.#asking === 0 && this.#changed) {
        this.#changed = false;
        // After this answer has been taken.
        setTimeout(() => this.#context.reload());
      }
    }
    if (this.#highlighted >= kMeans.k) this.#highlighted = -1;
    this.#context.redraw();
    if (this.#words.settings.list.length === 0) return;
    await this.#words.load(columns, signal, progress);
    await this.#context.loadValues(columns);
  }

  wantedClusters(): ClusterSettings {
    return this.#context.state.kMeans;
  }

  takeClusters(clusters: KMeansMap, settings: ClusterSettings): void {
    this.#keep(nameOf(settings, [clusters.key], clusters.key), clusters);
  }

  /** These clusters, and those of one more and one less. */
  prepare(columns: readonly ReadyColumn[], signal: AbortSignal): Promise<void> {
    return this.#prepare(columns, signal, 1);
  }

  /** Those of every other number: a slider may be pressed anywhere. */
  prepareFurther(columns: readonly ReadyColumn[], signal: AbortSignal): Promise<void> {
    return this.#prepare(columns, signal, Number.POSITIVE_INFINITY);
  }

  /** The nearest numbers first. */
  async #prepare(columns: readonly ReadyColumn[], signal: AbortSignal, most: number): Promise<void> {
    const { kMeans } = this.#context.state;
    const apart = (k: number): number => Math.abs(k - kMeans.k);
    const numbers = allNumbers.filter(k => apart(k) <= most).sort((a, b) => apart(a) - apart(b));
    for (const k of numbers)
      if (!signal.aborted) await this.#fetch(columns, { ...kMeans, k }, signal, () => undefined);
  }

  async #fetch(
    columns: readonly ReadyColumn[],
    settings: InspectorState['kMeans'],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    const keys = [...new Set(columns.map(column => column.map.key))];
    // Colours are matched among all maps of a request: a new column means asking for all of them again.
    const wanted = keys.map(key => nameOf(settings, keys, key));
    if (wanted.every(name => this.#clusters.has(name))) return;
    const query = { keys, ...settings, reference: null };
    const { maps } = await this.#context.host.request('kMeans', query, { signal, progress });
    maps.forEach((map, index) => {
      this.#keep(wanted[index]!, map);
    });
  }

  #keep(name: string, { labels, shares }: KMeansMap): void {
    this.#clusters.set(name, { labels: Int16Array.from(labels), shares });
    for (const oldest of this.#clusters.keys()) {
      if (this.#clusters.size <= KEPT_CLUSTERINGS) return;
      this.#clusters.delete(oldest);
    }
  }

  picture(column: ReadyColumn): Picture | null {
    const clusters = this.#last.orBefore(column, this.#of(column));
    if (clusters === null) return null;
    const { labels, shares } = clusters;
    const found = shares.filter(share => share > 0).length;
    const named = this.#namesOf(column, clusters);
    const names = named.map(name => name?.word ?? '');
    const problem = this.#words.settings.list.length > 0 && this.#words.problemOf(column);
    return {
      cells: { kind: 'labels', labels: this.#shown(labels), colours: shares.map((_, label) => label) },
      marks: null,
      legend: () => [this.#legend(shares, names)],
      legendKey: `${shares.join()}|${names.join()}|${this.#highlighted}`,
      shares,
      ...(named.length > 0 ? { names } : {}),
      facts: `${found} clusters over ${column.map.grid.valid.rows} × ${column.map.grid.valid.columns} patches${problem ? ` · without names: ${problem.message}` : ''}`,
    };
  }

  describe(column: ReadyColumn, patch: number): string {
    const clusters = this.#of(column);
    const label = clusters?.labels[patch] ?? -1;
    if (clusters === null || label < 0) return '';
    const name = this.#namesOf(column, clusters)[label];
    const named = name ? `: ${name.word}, cosine ${formatCosine(name.cosine)}` : '';
    return `cluster ${label + 1} (${percent(clusters.shares[label] ?? 0)} of the image)${named}`;
  }

  pick(column: ReadyColumn, patch: number): boolean {
    const label = this.#of(column)?.labels[patch] ?? -1;
    if (label < 0) return false;
    this.#highlight(label);
    return true;
  }

  imageLeft(): void {
    this.#highlighted = -1;
  }

  csv(column: ReadyColumn): string[][] {
    const clusters = this.#of(column);
    if (clusters === null) return [];
    const names = this.#namesOf(column, clusters);
    const headings = ['cluster', 'share', ...(names.length > 0 ? ['word', 'cosine'] : [])];
    return cellTable(column.map.grid, headings, patch => {
      const label = clusters.labels[patch]!;
      const name = names[label];
      return [
        String(label + 1),
        String(clusters.shares[label] ?? 0),
        ...(names.length > 0 ? [name?.word ?? '', String(name?.cosine ?? '')] : []),
      ];
    });
  }

  commandOptions(): Partial<CopyCommandQuery> {
    const { k, seed, restarts, smooth } = this.#context.state.kMeans;
    return { k, seed, restarts, smooth, words: this.#words.settings };
  }

  /** Names of the clusters; empty while there are no words. */
  #namesOf(column: ReadyColumn, { labels, shares }: Clusters): readonly (ClusterName | null)[] {
    const words = this.#words.of(column);
    const { features } = column.map.values;
    if (
      words === null ||
      features === null ||
      labels.length !== column.map.grid.rows * column.map.grid.columns
    )
      return [];
    const known = this.#names.get(labels);
    if (known?.words === words) return known.names;
    const names = clusterWords(features, labels, shares.length, words).map(
      near => near && { word: words.names[near.word]!, cosine: near.cosine },
    );
    this.#names.set(labels, { words, names });
    return names;
  }

  #of(column: ReadyColumn): Clusters | null {
    const keys = [...new Set(this.#context.columns.map(({ map }) => map.key))];
    return this.#clusters.get(nameOf(this.#context.state.kMeans, keys, column.map.key)) ?? null;
  }

  /** The highlighted cluster alone; the same array for the same labels, so that it is drawn once. */
  #shown(labels: Int16Array): Int16Array {
    if (this.#highlighted < 0) return labels;
    let shown = this.#masked.get(labels);
    if (shown === undefined) {
      shown = labels.map(label => (label === this.#highlighted ? label : -1));
      this.#masked.set(labels, shown);
    }
    return shown;
  }

  #highlight(label: number): void {
    this.#masked.clear();
    this.#highlighted = this.#highlighted === label ? -1 : label;
    this.#context.redraw();
  }

  #change(change: Partial<ViewContext['state']['kMeans']>): void {
    this.#context.remember({ kMeans: { ...this.#context.state.kMeans, ...change } });
    // One request at a time: a slider that moves faster than the clusters come shows those on its way.
    if (this.#asking === 0) this.#context.reload();
    else this.#changed = true;
  }

  #legend(shares: readonly number[], names: readonly string[]): HTMLElement {
    const entries = shares.map((share, label) => {
      const name = names[label] ?? '';
      const swatch = element('span', { class: 'swatch', attributes: { 'aria-hidden': 'true' } });
      swatch.style.background = cssColour(clusterColour(label));
      const button = element(
        'button',
        {
          class: 'cluster',
          attributes: {
            type: 'button',
            'aria-pressed': String(label === this.#highlighted),
            'aria-label': `Cluster ${label + 1}${name === '' ? '' : `, ${name}`}, ${percent(share)} of the image`,
          },
        },
        swatch,
        element('span', { text: name === '' ? String(label + 1) : `${label + 1} ${name}` }),
        element('span', { class: 'cluster-share', text: percent(share) }),
      );
      button.addEventListener('click', () => this.#highlight(label));
      return button;
    });
    return element(
      'div',
      {
        class: 'clusters',
        attributes: { role: 'group', 'aria-label': 'Clusters; press one to show it alone' },
      },
      ...entries,
    );
  }
}

function nameOf(settings: ClusterSettings, keys: readonly string[], key: string): string {
  return `${JSON.stringify(settings)}|${keys.join()}|${key}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
