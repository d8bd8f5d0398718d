import { meanOfMaps } from '../../../trainer/dense/tokenMaps.ts';
import { element } from '../../dom.ts';
import { formatSignificant } from '../../format.ts';
import { createSelect, type Select } from '../../select.ts';
import { colourMapOf } from '../cellPixels.ts';
import { patchAt, patchName, validStatistics } from '../featureMap.ts';
import type { ProgressListener } from '../host.ts';
import { scalarLegend } from '../legend.ts';
import type { AttentionResult, CopyCommandQuery } from '../protocol/requests.ts';
import { cellTable } from './cellTable.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';

const ROLLOUT = 'rollout';
const MEAN = 'mean';

/** Attention of the class token, or of the pinned patch, to the patches: per head, their mean, or the rollout. */
export class AttentionView implements View {
  readonly id = 'attention';
  readonly label = 'Attention';
  readonly help = 'Click or Enter asks a patch for its attention, Escape the class token.';
  readonly controls: HTMLElement;
  readonly #context: ViewContext;
  readonly #head: Select;
  readonly #layer: Select;
  readonly #results = new Map<string, { maps: Float32Array; result: AttentionResult }>();
  /** Rollout and mean have no place in the stored number of the head. */
  #shown: typeof ROLLOUT | typeof MEAN = ROLLOUT;
  #asked = '';

  constructor(context: ViewContext) {
    this.#context = context;
    this.#head = createSelect({
      label: 'Head',
      options: [],
      value: ROLLOUT,
      onChange: value => this.#chooseHead(value),
    });
    this.#layer = createSelect({
      label: 'Attention of layer',
      options: [],
      value: 'last',
      onChange: value => {
        const layer = value === 'last' ? null : Number(value);
        context.remember({ attention: { ...context.state.attention, layer } });
        context.reload();
      },
    });
    this.controls = element('div', { class: 'view-controls' }, this.#head.root, this.#layer.root);
  }

  refreshControls(): void {
    const heads = Math.max(0, ...[...this.#results.values()].map(({ result }) => result.heads));
    this.#head.setOptions([
      { value: ROLLOUT, label: 'Rollout' },
      { value: MEAN, label: 'Mean of heads' },
      ...Array.from({ length: heads }, (_, head) => ({ value: String(head), label: `Head ${head + 1}` })),
    ]);
    const { head, layer } = this.#context.state.attention;
    this.#head.value = head === null ? this.#shown : String(head);
    const layers = Math.max(0, ...this.#context.columns.map(column => column.layers ?? 0));
    this.#layer.setOptions([
      { value: 'last', label: 'Last' },
      ...Array.from({ length: Math.max(layers - 1, 0) }, (_, index) => ({
        value: String(layers - 1 - index),
        label: String(layers - 1 - index),
      })),
    ]);
    this.#layer.value = layer === null ? 'last' : String(layer);
  }

  async load(
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    this.#asked = this.#cursorName();
    for (const column of columns) {
      const name = this.#name(column);
      if (this.#results.has(name)) continue;
      const { image, source } = column.query;
      const layer = this.#context.state.attention.layer ?? column.layers;
      // The number of the last layer is known as soon as the model has been described; then this is called again.
      if (layer === null) continue;
      const result = await this.#context.host.request(
        'attention',
        { image, source, size: column.map.size, layer, query: this.#queryOf(column) },
        { signal, progress },
      );
      if (this.#results.size >= 32) this.#results.clear();
      this.#results.set(name, { maps: new Float32Array(result.data), result });
      this.refreshControls();
      this.#context.redraw();
    }
    this.refreshControls();
  }

  picture(column: ReadyColumn): Picture | null {
    const values = this.#values(column);
    if (values === null) return null;
    const { grid } = column.map;
    const statistics = validStatistics(grid, values);
    if (statistics === null) return null;
    const colourMap = colourMapOf(this.#context.state.colourMap);
    const range = [0, Math.max(statistics.highest, 1e-12)] as const;
    const query = this.#queryOf(column);
    const from = query === null ? 'the class token' : patchName(grid, query);
    return {
      cells: { kind: 'values', values, low: range[0], high: range[1], colourMap },
      marks: null,
      legend: () => [scalarLegend(colourMap, range, formatSignificant, 'Attention weight')],
      legendKey: `${range.join()}|${colourMap}`,
      facts: `attention of ${from} · highest ${formatSignificant(statistics.highest)}, mean ${formatSignificant(statistics.mean)}`,
    };
  }

  describe(column: ReadyColumn, patch: number): string {
    const weight = this.#values(column)?.[patch];
    return weight === undefined ? '' : `weight ${formatSignificant(weight)}`;
  }

  pick(column: ReadyColumn, patch: number): boolean {
    const { cursor } = this.#context;
    const { grid } = column.map;
    if (cursor.hovered === null) return false;
    cursor.togglePin(cursor.hovered, a => patchAt(grid, a) === patch);
    this.#context.reload();
    return true;
  }

  /** Escape frees the pin: the class token is asked again. */
  moved(): void {
    if (this.#cursorName() === this.#asked) this.#context.redraw();
    else this.#context.reload();
  }

  commandOptions(column: ReadyColumn): Partial<CopyCommandQuery> {
    const { head, layer } = this.#context.state.attention;
    const patch = this.#queryOf(column);
    const shown = head === null ? this.#shown : head;
    return { attention: { head: shown, layer }, ...(patch === null ? {} : { patch }) };
  }

  csv(column: ReadyColumn): string[][] {
    const values = this.#values(column);
    return values === null ? [] : cellTable(column.map.grid, ['attention'], patch => [String(values[patch])]);
  }

  #values(column: ReadyColumn): Float32Array | null {
    const found = this.#results.get(this.#name(column));
    if (found === undefined) return null;
    const { maps, result } = found;
    const cells = result.rows * result.columns;
    const { head } = this.#context.state.attention;
    const map = (index: number): Float32Array => maps.subarray(index * cells, (index + 1) * cells);
    if (head !== null && head < result.heads) return map(head);
    return this.#shown === ROLLOUT ? map(result.heads) : meanOfMaps(maps, result.heads, cells);
  }

  #cursorName(): string {
    const { pinned } = this.#context.cursor;
    return pinned === null ? 'class' : `${pinned.x},${pinned.y}`;
  }

  #queryOf(column: ReadyColumn): number | null {
    const { pinned } = this.#context.cursor;
    const patch = pinned === null ? -1 : patchAt(column.map.grid, pinned);
    return patch < 0 ? null : patch;
  }

  #name(column: ReadyColumn): string {
    const { layer } = this.#context.state.attention;
    return JSON.stringify([column.map.key, column.query.source, layer, this.#queryOf(column)]);
  }

  #chooseHead(value: string): void {
    if (value === ROLLOUT || value === MEAN) this.#shown = value;
    const head = value === ROLLOUT || value === MEAN ? null : Number(value);
    this.#context.remember({ attention: { ...this.#context.state.attention, head } });
  }
}
