import { boxQuery, patchQuery, similarityMap, valueRange } from '../../../trainer/dense/similarity.ts';
import { createButton } from '../../controls.ts';
import { element } from '../../dom.ts';
import { formatCosine } from '../../format.ts';
import { colourMapOf } from '../cellPixels.ts';
import { isValidPatch, patchAt, patchName, validStatistics } from '../featureMap.ts';
import { scalarLegend } from '../legend.ts';
import type { Box, CopyCommandQuery } from '../protocol/requests.ts';
import { cellTable } from './cellTable.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';

/** What a column's patches are compared with. */
interface Query {
  /** Names the query: the same name, the same feature. */
  name: string;
  /** [dimension], unit norm. */
  feature: Float32Array;
  /** What it is called in the figures. */
  text: string;
}

/** A feature that was kept from another image, by the settings that it was read with. */
interface KeptQuery extends Query {
  image: number;
}

/** Cosine of every patch with the one under the cursor, a pinned one or a drawn box; computed here, on each move. */
export class SimilarityView implements View {
  readonly id = 'similarity';
  readonly label = 'Similarity';
  readonly help =
    'Point at a patch or move with the arrow keys; click or Enter pins it, shift and drag draws a box.';
  readonly controls: HTMLElement;
  readonly #context: ViewContext;
  readonly #release: HTMLElement;
  /** By column settings: the last query of each, so that it can be asked of another image. */
  readonly #kept = new Map<string, KeptQuery>();
  /** By map key: the last heat map, for redraws that change something else. */
  readonly #last = new Map<string, { name: string; values: Float32Array }>();

  constructor(context: ViewContext) {
    this.#context = context;
    this.#release = createButton({
      label: 'Release pin',
      onClick: () => {
        this.#kept.clear();
        context.cursor.clear();
        context.redraw();
      },
    });
    this.controls = element('div', { class: 'view-controls' }, this.#release);
  }

  load(columns: readonly ReadyColumn[]): Promise<void> {
    return this.#context.loadValues(columns);
  }

  picture(column: ReadyColumn): Picture | null {
    if (column.map.values.features === null) return null;
    const values = this.values(column);
    if (values === null)
      return {
        cells: null,
        marks: null,
        legend: () => [element('p', { class: 'empty', text: this.help })],
        legendKey: 'empty',
        facts: '',
      };
    const colourMap = colourMapOf(this.#context.state.colourMap);
    const { low, high } = valueRange(values);
    const range = [low, high] as const;
    const { statistics, query } = this.#describeValues(column, values);
    return {
      cells: { kind: 'values', values, low: range[0], high: range[1], colourMap },
      marks: null,
      legend: () => [scalarLegend(colourMap, range, value => value.toFixed(2), 'Cosine')],
      legendKey: `${low}|${high}|${colourMap}`,
      facts: `${query} · ${statistics}`,
    };
  }

  /** Cosines of all patches with the query, [rows · columns]; null while there is no query, or no map to ask. */
  values(column: ReadyColumn): Float32Array | null {
    const query = this.#queryOf(column);
    const { key } = column.map;
    const { features } = column.map.values;
    if (query === null || features === null) return null;
    const last = this.#last.get(key);
    if (last?.name === query.name) return last.values;
    const values = similarityMap(features, query.feature);
    if (this.#last.size > 16) this.#last.clear();
    this.#last.set(key, { name: query.name, values });
    return values;
  }

  describe(column: ReadyColumn, patch: number): string {
    const values = this.values(column);
    return values === null ? '' : `cosine ${formatCosine(values[patch] ?? Number.NaN)}`;
  }

  pick(column: ReadyColumn, patch: number): boolean {
    const { cursor } = this.#context;
    const { grid } = column.map;
    const point = cursor.hovered;
    if (point === null) return false;
    this.#kept.clear();
    cursor.togglePin(point, a => patchAt(grid, a) === patch);
    this.#context.redraw();
    return true;
  }

  drawBox(box: Box): void {
    this.#kept.clear();
    const { cursor } = this.#context;
    cursor.pinned = null;
    cursor.box = box;
    this.#context.redraw();
  }

  moved(): void {
    this.#context.redraw();
  }

  /** The cursor of the image before leaves; what was pinned there is asked of the next image. */
  imageLeft(columns: readonly ReadyColumn[]): void {
    const { cursor } = this.#context;
    if (cursor.pinned === null && cursor.box === null) return;
    for (const column of columns) {
      const query = this.#queryOf(column);
      if (query !== null && !this.#kept.has(settingsName(column)))
        this.#kept.set(settingsName(column), { ...query, image: column.map.image });
    }
  }

  csv(column: ReadyColumn): string[][] {
    const values = this.values(column);
    if (values === null) return [];
    return cellTable(column.map.grid, ['cosine'], patch => [String(values[patch])]);
  }

  commandOptions(column: ReadyColumn): Partial<CopyCommandQuery> {
    const { point, box } = this.#context.cursor;
    if (box !== null) return { boxes: [box] };
    const patch = point === null ? -1 : patchAt(column.map.grid, point);
    return patch < 0 ? {} : { patch };
  }

  #queryOf(column: ReadyColumn): Query | null {
    const { box, point, pinned } = this.#context.cursor;
    const { grid, dimension, key, size } = column.map;
    const { features } = column.map.values;
    const imageSize = { width: grid.imageWidth, height: grid.imageHeight };
    const kept = this.#kept.get(settingsName(column));
    this.#release.hidden = pinned === null && box === null && this.#kept.size === 0;
    if (kept && kept.feature.length === dimension && pinned === null && box === null) return kept;
    if (features === null) return null;
    if (box !== null)
      return {
        name: `${key}|${box.join()}`,
        feature: boxQuery(features, box, imageSize, size),
        text: 'query: the box',
      };
    const patch = point === null ? -1 : patchAt(grid, point);
    if (!isValidPatch(grid, patch)) return null;
    return {
      name: `${key}|${patch}`,
      feature: patchQuery(features, Math.floor(patch / grid.columns), patch % grid.columns),
      text: `query: ${patchName(grid, patch)}${pinned === null ? '' : ', pinned'}`,
    };
  }

  #describeValues(column: ReadyColumn, values: Float32Array): { query: string; statistics: string } {
    const { grid } = column.map;
    const statistics = validStatistics(grid, values);
    const kept = this.#kept.get(settingsName(column));
    const query = this.#queryOf(column);
    return {
      query: kept !== undefined && query === kept ? `${kept.text}, from another image` : (query?.text ?? ''),
      statistics:
        statistics === null
          ? ''
          : `cosine ${formatCosine(statistics.lowest)} … ${formatCosine(statistics.highest)}, mean ${formatCosine(statistics.mean)}`,
    };
  }
}

function settingsName({ settings }: ReadyColumn): string {
  return JSON.stringify([settings.source, settings.readOut, settings.layer]);
}
