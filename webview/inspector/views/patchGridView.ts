import { createCheckbox, createSlider } from '../../controls.ts';
import { cosineColour, cssColour } from '../../cosineColour.ts';
import { createTable, element } from '../../dom.ts';
import { formatCosine } from '../../format.ts';
import { drawPlate, type PictureContext } from '../../plate.ts';
import { patchBox } from '../featureMap.ts';
import type { ProgressListener } from '../host.ts';
import { scalarLegend } from '../legend.ts';
import { drawGridLines, drawIndices, drawOutline } from '../marks.ts';
import { MAXIMUM_SPLIT } from '../panelState.ts';
import type { Box, CopyCommandQuery, PatchesResult } from '../protocol/requests.ts';
import { cellTable } from './cellTable.ts';
import { cropFigure } from './cropFigure.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';

/** Waits this long after a slider moved before cosines are asked for, in milliseconds. */
const SLIDER_DELAY = 150;

/** The token grid with its indices, or a grid of patches with the cosine between student and teacher. */
export class PatchGridView implements View {
  readonly id = 'patches';
  readonly label = 'Patch grid';
  readonly help = 'Arrow keys move between patches.';
  readonly controls: HTMLElement;
  readonly #context: ViewContext;
  readonly #splits: HTMLElement[];
  readonly #results = new Map<string, PatchesResult>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #tableOpen = false;

  constructor(context: ViewContext) {
    this.#context = context;
    const { tokens } = context.state.patches;
    this.#splits = (['rows', 'columns'] as const).map(name =>
      createSlider({
        label: name === 'rows' ? 'Rows' : 'Columns',
        minimum: 1,
        maximum: MAXIMUM_SPLIT,
        step: 1,
        value: context.state.patches[name],
        format: String,
        onInput: value => this.#change({ [name]: value }),
      }),
    );
    const cosines = createCheckbox('Cosine with the teacher', !tokens, checked =>
      this.#change({ tokens: !checked }),
    );
    cosines.title = 'Cosine of pooled dense feature and the embedding of the crop, as CLIPSelf trains it';
    this.controls = element('div', { class: 'view-controls' }, cosines, ...this.#splits);
  }

  get readsRegions(): boolean {
    return !this.#context.state.patches.tokens;
  }

  refreshControls(): void {
    for (const split of this.#splits) split.hidden = this.#context.state.patches.tokens;
  }

  async load(
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    const { tokens, rows, columns: across } = this.#context.state.patches;
    if (tokens) return;
    for (const column of columns) {
      const name = this.#name(column);
      if (this.#results.has(name)) continue;
      const { image, source } = column.query;
      const { readOut, layer } = column.settings;
      const result = await this.#context.host.request(
        'patches',
        { image, source, teacher: null, size: column.map.size, rows, columns: across, readOut, layer },
        { signal, progress },
      );
      if (this.#results.size >= 32) this.#results.clear();
      this.#results.set(name, result);
      this.#context.redraw();
    }
  }

  picture(column: ReadyColumn): Picture | null {
    return this.#context.state.patches.tokens ? this.#tokenPicture(column) : this.#cosinePicture(column);
  }

  describe(column: ReadyColumn, patch: number): string {
    const [x0, y0, x1, y1] = patchBox(column.map.grid, patch).map(Math.round);
    const pixels = `token ${patch}, pixels ${x0}, ${y0} – ${x1}, ${y1}`;
    const result = this.#results.get(this.#name(column));
    const cell = result ? this.#cellUnderCursor(result) : -1;
    if (result === undefined || cell < 0 || this.#context.state.patches.tokens) return pixels;
    return `in the patch of ${this.#cellName(cell)}, cosine ${formatCosine(result.cosines[cell] ?? null)}`;
  }

  moved(): void {
    this.#context.redraw();
  }

  csv(column: ReadyColumn): string[][] {
    const result = this.#results.get(this.#name(column));
    if (this.#context.state.patches.tokens) return cellTable(column.map.grid, [], () => []);
    if (result === undefined) return [];
    const { columns } = this.#context.state.patches;
    return [
      ['row', 'column', 'x0', 'y0', 'x1', 'y1', 'cosine'],
      ...result.boxes.map((box, index) =>
        [Math.floor(index / columns), index % columns, ...box, result.cosines[index]!].map(String),
      ),
    ];
  }

  /** The cosines are those of regions that lie as the cells do. */
  commandOptions(column: ReadyColumn): Partial<CopyCommandQuery> {
    const boxes = this.#results.get(this.#name(column))?.boxes;
    return this.#context.state.patches.tokens || boxes === undefined ? {} : { boxes };
  }

  #tokenPicture({ map: { grid, dimension } }: ReadyColumn): Picture {
    return {
      cells: null,
      marks: (context, placement) => {
        drawGridLines(context, placement, grid, this.#context.palette);
        drawIndices(context, placement, grid, this.#context.palette);
      },
      legend: () => [],
      legendKey: 'tokens',
      facts: `${grid.valid.rows} × ${grid.valid.columns} of ${grid.rows} × ${grid.columns} tokens hold image · ${dimension} channels`,
    };
  }

  #cosinePicture(column: ReadyColumn): Picture | null {
    const result = this.#results.get(this.#name(column));
    if (result === undefined) return null;
    const { boxes, cosines } = result;
    const { palette, state, image } = this.#context;
    const selected = this.#cellUnderCursor(result);
    const format = (value: number): string => value.toFixed(2);
    return {
      cells: null,
      marks: (context, placement) => {
        boxes.forEach((box, index) => {
          drawCosine(context, placement, box, cosines[index] ?? Number.NaN, palette, state.opacity);
        });
        const box = boxes[selected];
        if (box) drawOutline(context, placement, box, palette, { width: 3 });
      },
      legend: () => [
        scalarLegend('viridis', [0, 1], format, 'Cosine'),
        element(
          'div',
          { class: 'patch-figures' },
          cropFigure(image, boxes[selected] ?? null, selected < 0 ? '' : this.#cellName(selected)),
          this.#table(cosines),
        ),
      ],
      legendKey: `${selected}|${this.#name(column)}`,
      facts: summary(cosines, index => this.#cellName(index)),
    };
  }

  /** The cosines as a table of the grid's shape; it stays open while the cursor moves. */
  #table(cosines: readonly number[]): HTMLElement {
    const { rows, columns } = this.#context.state.patches;
    const counted = (count: number, name: string): string[] =>
      Array.from({ length: count }, (_, index) => `${name} ${index + 1}`);
    const { table, body } = createTable('Cosines of the patches', ['', ...counted(columns, 'Column')]);
    counted(rows, 'Row').forEach((name, row) => {
      const cells = cosines.slice(row * columns, (row + 1) * columns);
      body.append(
        element(
          'tr',
          {},
          element('th', { text: name, attributes: { scope: 'row' } }),
          ...cells.map(cosine => element('td', { text: formatCosine(cosine) })),
        ),
      );
    });
    const details = element(
      'details',
      { class: 'cosine-table' },
      element('summary', { text: 'Cosines as a table' }),
      element('div', { class: 'table-scroller' }, table),
    );
    details.open = this.#tableOpen;
    details.addEventListener('toggle', () => {
      this.#tableOpen = details.open;
    });
    return details;
  }

  #cellUnderCursor({ boxes }: PatchesResult): number {
    const { point } = this.#context.cursor;
    if (point === null) return -1;
    return boxes.findIndex(
      ([x0, y0, x1, y1]) => point.x >= x0 && point.x < x1 && point.y >= y0 && point.y < y1,
    );
  }

  #cellName(index: number): string {
    const { columns } = this.#context.state.patches;
    return `row ${Math.floor(index / columns) + 1}, column ${(index % columns) + 1}`;
  }

  #name({ query, map, settings }: ReadyColumn): string {
    const { rows, columns } = this.#context.state.patches;
    // A file that changed has another key, and so other cosines.
    return JSON.stringify([query.source, map.key, settings.readOut, rows, columns]);
  }

  #change(change: Partial<ViewContext['state']['patches']>): void {
    this.#context.remember({ patches: { ...this.#context.state.patches, ...change } });
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#context.reload(), SLIDER_DELAY);
  }
}

function drawCosine(
  context: PictureContext,
  placement: { left: number; top: number; scale: number },
  box: Box,
  cosine: number,
  palette: ViewContext['palette'],
  opacity: number,
): void {
  const { left, top, scale } = placement;
  const [x0, y0, x1, y1] = box;
  const [x, y] = [left + x0 * scale, top + y0 * scale];
  const [width, height] = [(x1 - x0) * scale, (y1 - y0) * scale];
  const colour = cosineColour(cosine);
  context.fillStyle = cssColour(colour, opacity * 0.8);
  context.fillRect(x, y, width, height);
  drawOutline(context, placement, box, palette, {
    colour: palette.highContrast ? palette.foreground : cssColour(colour),
    width: 1,
  });
  const size = Math.min(palette.fontSize, width / 3.4, height / 1.7);
  if (size < 7) return;
  const text = Number.isFinite(cosine) ? cosine.toFixed(2) : '?';
  drawPlate(context, palette, text, x + width / 2, y + height / 2, size);
}

/** Mean and the three lowest cosines. */
function summary(cosines: readonly number[], nameOf: (index: number) => string): string {
  const finite = cosines.map((cosine, index) => ({ cosine, index })).filter(c => Number.isFinite(c.cosine));
  if (finite.length === 0) return 'no cosine could be computed';
  const mean = finite.reduce((sum, { cosine }) => sum + cosine, 0) / finite.length;
  const worst = finite
    .sort((a, b) => a.cosine - b.cosine)
    .slice(0, 3)
    .map(({ cosine, index }) => `${nameOf(index)} (${formatCosine(cosine)})`);
  return `mean cosine ${formatCosine(mean)} · lowest: ${worst.join('; ')}`;
}
