import type { MapSize } from '../../../trainer/dense/featureMap.ts';
import { chosenCoordinates, fittedComponents, mapColours } from '../../../trainer/dense/pcaColours.ts';
import { element } from '../../dom.ts';
import { createSelect, type Select } from '../../select.ts';
import type { ProgressListener } from '../host.ts';
import type { CopyCommandQuery } from '../protocol/requests.ts';
import { cellTable } from './cellTable.ts';
import { LastShown } from './lastShown.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';

const channels = ['Red', 'Green', 'Blue'] as const;

/** Fits that are kept: columns that come and go ask for each again. */
const KEPT_FITS = 16;

type Components = readonly [number, number, number];

interface Colours {
  rgb: Uint8Array;
  components: Components;
  explainedVariance: readonly number[];
}

/** Maps along the components that they share. */
interface Fit {
  keys: readonly string[];
  sizes: readonly MapSize[];
  /** For each map [valid cells, fitted components]. */
  coordinates: readonly Float32Array[];
  explainedVariance: readonly number[];
  /** What was shown last, by map key: other components need no more than this. */
  coloured: { components: Components; byKey: ReadonlyMap<string, Colours> } | null;
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
  /** By the maps that share it, oldest first. */
  readonly #fits = new Map<string, Fit>();

  constructor(context: ViewContext) {
    this.#context = context;
    const options = Array.from({ length: fittedComponents }, (_, index) => ({
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
    // Features of different models lie in different spaces: only equal dimensions can share a basis.
    const dimensions = new Set(columns.map(column => column.map.dimension));
    for (const dimension of dimensions) {
      const maps = sharedMaps(columns, dimension);
      const keys = [...maps.keys()];
      const fitName = this.#nameOf(keys);
      if (this.#fits.has(fitName)) continue;
      const highest = Math.max(...this.#context.state.pca.components);
      const result = await this.#context.host.request('pca', { keys, highest }, { signal, progress });
      this.#fits.set(fitName, {
        keys,
        sizes: [...maps.values()],
        coordinates: result.maps.map(({ coordinates }) => new Float32Array(coordinates)),
        explainedVariance: result.explainedVariance,
        coloured: null,
      });
    }
    for (const oldest of this.#fits.keys()) {
      if (this.#fits.size <= KEPT_FITS) return;
      this.#fits.delete(oldest);
    }
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
    const fit = this.#fitOf(column);
    if (fit === undefined) return null;
    const { components } = this.#context.state.pca;
    if (fit.coloured?.components.join() !== components.join())
      fit.coloured = { components, byKey: coloursOf(fit, components) };
    return fit.coloured.byKey.get(column.map.key) ?? null;
  }

  #fitOf({ map: { dimension } }: ReadyColumn): Fit | undefined {
    return this.#fits.get(this.#nameOf([...sharedMaps(this.#context.columns, dimension).keys()]));
  }

  /** Components beyond those that every fit has make it another one. */
  #nameOf(keys: readonly string[]): string {
    const count = Math.max(fittedComponents, ...this.#context.state.pca.components.map(number => number + 1));
    return `${count}|${keys.join()}`;
  }

  #choose(channel: number, component: number): void {
    const components = [...this.#context.state.pca.components] as [number, number, number];
    components[channel] = component;
    this.#context.remember({ pca: { components } });
    if (this.#context.columns.some(column => this.#fitOf(column) === undefined)) this.#context.reload();
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

/** The maps that share a basis, by key, each once. */
function sharedMaps(columns: readonly ReadyColumn[], dimension: number): Map<string, MapSize> {
  const group = columns.filter(({ map }) => map.dimension === dimension);
  return new Map(group.map(({ map }) => [map.key, map.grid]));
}

function coloursOf(
  { keys, sizes, coordinates, explainedVariance }: Fit,
  components: Components,
): Map<string, Colours> {
  const chosen = chosenCoordinates(coordinates, explainedVariance.length, components);
  const colours = mapColours(chosen, sizes);
  return new Map(keys.map((key, index) => [key, { rgb: colours[index]!, components, explainedVariance }]));
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
