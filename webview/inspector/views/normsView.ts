import { element } from '../../dom.ts';
import { formatSignificant } from '../../format.ts';
import { colourMapOf } from '../cellPixels.ts';
import { patchName, validStatistics } from '../featureMap.ts';
import type { ProgressListener } from '../host.ts';
import { scalarLegend } from '../legend.ts';
import { outlierPatches } from '../mapStatistics.ts';
import { cellTable } from './cellTable.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';

/** Norms of the tokens before they are normalised: outlier tokens, which hold no local feature, stand out. */
export class NormsView implements View {
  readonly id = 'norms';
  readonly label = 'Norms';
  readonly help = 'Tokens whose norm is far above the others hold little of their place in the image.';
  readonly controls = element('div', { class: 'view-controls' });
  readonly #context: ViewContext;
  readonly #norms = new Map<string, Float32Array>();

  constructor(context: ViewContext) {
    this.#context = context;
  }

  async load(
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    for (const { map, query } of columns) {
      if (this.#norms.has(map.key)) continue;
      const result = await this.#context.host.request('norms', query, { signal, progress });
      if (this.#norms.size >= 32) this.#norms.clear();
      this.#norms.set(map.key, Float32Array.from(result.norms));
      this.#context.redraw();
    }
  }

  picture({ map: { key, grid } }: ReadyColumn): Picture | null {
    const values = this.#norms.get(key);
    if (values === undefined) return null;
    const statistics = validStatistics(grid, values);
    if (statistics === null) return null;
    const colourMap = colourMapOf(this.#context.state.colourMap);
    const range = [statistics.lowest, Math.max(statistics.highest, statistics.lowest + 1e-6)] as const;
    const outliers = outlierPatches(grid.valid, grid.columns, values);
    const named = outliers.slice(0, 3).map(patch => patchName(grid, patch));
    return {
      cells: { kind: 'values', values, low: range[0], high: range[1], colourMap },
      marks: null,
      legend: () => [scalarLegend(colourMap, range, formatSignificant, 'Norm of the token')],
      legendKey: `${key}|${colourMap}`,
      facts: [
        `norm ${formatSignificant(statistics.lowest)} … ${formatSignificant(statistics.highest)}, mean ${formatSignificant(statistics.mean)}`,
        outliers.length === 0
          ? 'no outlier'
          : `${outliers.length} above three deviations: ${named.join('; ')}${outliers.length > 3 ? '; …' : ''}`,
      ].join(' · '),
    };
  }

  describe({ map }: ReadyColumn, patch: number): string {
    const norm = this.#norms.get(map.key)?.[patch];
    return norm === undefined ? '' : `norm ${formatSignificant(norm)}`;
  }

  csv({ map }: ReadyColumn): string[][] {
    const norms = this.#norms.get(map.key);
    return norms === undefined ? [] : cellTable(map.grid, ['norm'], patch => [String(norms[patch])]);
  }
}
