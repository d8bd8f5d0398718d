import { element } from '../../dom.ts';
import type { ProgressListener } from '../host.ts';
import type { CopyCommandQuery, PcaResult } from '../protocol/requests.ts';
import { createSelect, type Select } from '../select.ts';
import { cellTable } from './cellTable.ts';
import { LastShown } from './lastShown.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';

const channels = ['Red', 'Green', 'Blue'] as const;

/** Components that can be picked: later ones carry too little to see. */
const COMPONENTS = 8;

interface Colours {
  rgb: Uint8Array;
  components: readonly [number, number, number];
  explainedVariance: number[];
}

/** Three principal components as colours, in one basis for all columns of the same dimension. */
export class PcaView implements View {
  readonly id = 'pca';
  readonly label = 'PCA';
  readonly help = 'Patches of like colour have like features.';
  readonly controls: HTMLElement;
  readonly #context: ViewContext;
  readonly #last = new LastShown<Colours>();
  readonly #selects: Select[];
  #colours = new Map<string, Colours>();

  constructor(context: ViewContext) {
    this.#context = context;
    const options = Array.from({ length: COMPONENTS }, (_, index) => ({
      value: String(index),
      label: `PC ${index + 1}`,
    }));
    this.#selects = channels.map((label, channel) =>
      createSelect({ label, options, value: '0', onChange: value => this.#choose(channel, Number(value)) }),
    );
    this.controls = element('div', { class: 'view-controls' }, ...this.#selects.map(select => select.root));
  }

  refreshControls(): void {
    this.#selects.forEach((select, channel) => {
      select.value = String(this.#context.state.pca.components[channel]);
    });
  }

  async load(
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    const { components } = this.#context.state.pca;
    const next = new Map<string, Colours>();
    // Features of different models lie in different spaces: only equal dimensions can share a basis.
    const dimensions = new Set(columns.map(column => column.map.dimension));
    for (const dimension of dimensions) {
      const group = columns.filter(column => column.map.dimension === dimension);
      const keys = [...new Set(group.map(column => column.map.key))];
      const names = keys.map(key => name(key, keys, components));
      if (names.every(key => this.#colours.has(key))) {
        for (const key of names) next.set(key, this.#colours.get(key)!);
        continue;
      }
      const result: PcaResult = await this.#context.host.request(
        'pca',
        { keys, components },
        { signal, progress },
      );
      for (const map of result.maps)
        next.set(name(map.key, keys, components), {
          rgb: new Uint8Array(map.rgb),
          components,
          explainedVariance: result.explainedVariance,
        });
    }
    this.#colours = next;
  }

  prepare(columns: readonly ReadyColumn[], signal: AbortSignal): Promise<void> {
    return this.load(columns, signal, () => undefined);
  }

  picture(column: ReadyColumn): Picture | null {
    const colours = this.#last.orBefore(column, this.#of(column));
    if (colours === null) return null;
    const { components } = colours;
    const total = components.reduce((sum, index) => sum + (colours.explainedVariance[index] ?? 0), 0);
    return {
      cells: { kind: 'colours', rgb: colours.rgb },
      marks: null,
      legend: () => [this.#legend(colours)],
      legendKey: `${components.join()}|${colours.explainedVariance.join()}`,
      facts: `the three components explain ${percent(total)} of the variance`,
    };
  }

  describe(column: ReadyColumn, patch: number): string {
    const rgb = this.#of(column)?.rgb;
    if (rgb === undefined) return '';
    const values = channels.map((label, channel) => `${label.toLowerCase()} ${rgb[patch * 3 + channel]}`);
    return `${values.join(', ')} of 255`;
  }

  csv(column: ReadyColumn): string[][] {
    const rgb = this.#of(column)?.rgb;
    if (rgb === undefined) return [];
    return cellTable(column.map.grid, ['red', 'green', 'blue'], patch =>
      [0, 1, 2].map(channel => String(rgb[patch * 3 + channel])),
    );
  }

  commandOptions(): Partial<CopyCommandQuery> {
    return { components: this.#context.state.pca.components };
  }

  #of(column: ReadyColumn): Colours | null {
    const group = this.#context.columns.filter(({ map }) => map.dimension === column.map.dimension);
    const keys = [...new Set(group.map(({ map }) => map.key))];
    return this.#colours.get(name(column.map.key, keys, this.#context.state.pca.components)) ?? null;
  }

  #choose(channel: number, component: number): void {
    const components = [...this.#context.state.pca.components] as [number, number, number];
    components[channel] = component;
    this.#context.remember({ pca: { components } });
    this.#context.reload();
  }

  #legend({ components, explainedVariance }: Colours): HTMLElement {
    const items = channels.map((label, channel) => {
      const component = components[channel]!;
      const swatch = element('span', { class: 'swatch', attributes: { 'aria-hidden': 'true' } });
      swatch.style.background = ['rgb(220 50 47)', 'rgb(60 170 60)', 'rgb(50 110 230)'][channel]!;
      const share = explainedVariance[component];
      return element(
        'span',
        { class: 'legend-item' },
        swatch,
        `${label}: PC ${component + 1}${share === undefined ? '' : `, ${percent(share)}`}`,
      );
    });
    return element('div', { class: 'legend-items' }, ...items);
  }
}

function name(key: string, keys: readonly string[], components: readonly number[]): string {
  return `${components.join()}|${keys.join()}|${key}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
