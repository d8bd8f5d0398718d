import type { CocoSegmentation } from '../../../trainer/dense/cocoMask.ts';
import { createButton } from '../../controls.ts';
import { createTable, element } from '../../dom.ts';
import { formatMetric } from '../../format.ts';
import { icon } from '../../icons.ts';
import { drawPlate } from '../../plate.ts';
import { patchBox } from '../featureMap.ts';
import { type ProgressListener, problemOf } from '../host.ts';
import { drawOutline } from '../marks.ts';
import {
  type Box,
  type CopyCommandQuery,
  MAXIMUM_REGIONS,
  type RegionsResult,
} from '../protocol/requests.ts';
import { drawMask } from './regionOutline.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';

interface Region {
  box: Box;
  label: string;
  /** Features are pooled over it; null where over the box. */
  mask: CocoSegmentation | null;
  /** Tells apart regions of the same box but another mask. */
  name: string;
}

interface Measured {
  cosine: number;
  rank: number;
}

/** Boxes and masks of the image: does a region's pooled dense feature find its own crop among the crops of all regions? */
export class RegionsView implements View {
  readonly id = 'regions';
  readonly label = 'Regions';
  readonly help = 'Hold shift and drag to draw a box.';
  readonly readsRegions = true;
  readonly controls: HTMLElement;
  readonly #context: ViewContext;
  /** By image index. */
  readonly #regions = new Map<number, Region[]>();
  readonly #results = new Map<string, Measured[]>();
  #selected = -1;
  #masks = 0;

  constructor(context: ViewContext) {
    this.#context = context;
    this.controls = element(
      'div',
      { class: 'view-controls' },
      createButton({ label: 'Load boxes or masks…', onClick: () => void this.#loadBoxes() }),
      createButton({ label: 'Clear', onClick: () => this.#replace([]) }),
      element('span', {
        class: 'card-note',
        text: 'Shift and drag draws a box; B adds the patch under the cursor.',
      }),
    );
  }

  async load(
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    const boxes = this.#list.map(({ box }) => box);
    const masks = this.#list.map(({ mask }) => mask);
    if (boxes.length === 0) return;
    for (const column of columns) {
      const name = this.#name(column);
      if (this.#results.has(name)) continue;
      const { image, source } = column.query;
      const { readOut, layer } = column.settings;
      const regions = readOut === 'maskAttention' ? { boxes } : { boxes, masks };
      const result = await this.#context.host.request(
        'regions',
        { image, source, teacher: null, size: column.map.size, readOut, layer, ...regions },
        { signal, progress },
      );
      if (this.#results.size >= 64) this.#results.clear();
      this.#results.set(name, measuredOf(result));
      this.#context.redraw();
    }
  }

  picture(column: ReadyColumn): Picture {
    const list = this.#list;
    const measured = this.#results.get(this.#name(column)) ?? [];
    const { palette } = this.#context;
    return {
      cells: null,
      marks: (context, placement) => {
        list.forEach(({ box, mask }, index) => {
          const selected = index === this.#selected;
          const line = {
            colour: selected || palette.highContrast ? palette.focus : palette.green,
            width: selected ? 3 : 2,
          };
          if (mask) drawMask(context, placement, mask, palette, line);
          drawOutline(context, placement, box, palette, mask ? { ...line, width: 1, dashed: true } : line);
          const [left, top] = [
            placement.left + box[0] * placement.scale,
            placement.top + box[1] * placement.scale,
          ];
          drawPlate(context, palette, String(index + 1), left + 10, top + 10, palette.fontSize - 1);
        });
      },
      legend: () => [this.#table(list, measured)],
      legendKey: `${JSON.stringify(list.map(({ name, label }) => [name, label]))}|${JSON.stringify(measured)}|${this.#selected}`,
      facts: [
        summary(list, measured),
        column.settings.readOut === 'maskAttention' && list.some(({ mask }) => mask !== null)
          ? 'mask attention sees the boxes of masks'
          : '',
      ]
        .filter(part => part !== '')
        .join(' · '),
    };
  }

  describe(column: ReadyColumn): string {
    const index = this.#regionUnderCursor();
    if (index < 0) return '';
    const measured = this.#results.get(this.#name(column))?.[index];
    const label = this.#list[index]!.label;
    return `region ${index + 1}${label === '' ? '' : ` (${label})`}${measured ? `: cosine ${formatMetric(measured.cosine)}, rank ${measured.rank}` : ''}`;
  }

  pick(): boolean {
    const index = this.#regionUnderCursor();
    this.#selected = index === this.#selected ? -1 : index;
    this.#context.redraw();
    return index >= 0;
  }

  drawBox(box: Box): void {
    this.#replace([...this.#list, { box, label: '', mask: null, name: box.join() }]);
  }

  /** B adds the patch under the cursor: boxes without a pointer. */
  key(event: KeyboardEvent, column: ReadyColumn, patch: number): boolean {
    if (event.key.toLowerCase() !== 'b' || patch < 0) return false;
    this.drawBox(patchBox(column.map.grid, patch));
    return true;
  }

  imageLeft(): void {
    this.#selected = -1;
  }

  csv(column: ReadyColumn): string[][] {
    const measured = this.#results.get(this.#name(column)) ?? [];
    return [
      ['region', 'label', 'x0', 'y0', 'x1', 'y1', 'pooled over', 'cosine', 'rank'],
      ...this.#list.map(({ box, label, mask }, index) => [
        String(index + 1),
        label,
        ...box.map(String),
        mask ? 'mask' : 'box',
        String(measured[index]?.cosine ?? ''),
        String(measured[index]?.rank ?? ''),
      ]),
    ];
  }

  commandOptions(): Partial<CopyCommandQuery> {
    return {
      boxes: this.#list.map(({ box }) => box),
      masked: this.#list.some(({ mask }) => mask !== null),
    };
  }

  get #list(): Region[] {
    return this.#regions.get(this.#context.state.image) ?? [];
  }

  #replace(regions: Region[]): void {
    this.#regions.set(this.#context.state.image, regions.slice(0, MAXIMUM_REGIONS));
    this.#selected = -1;
    this.#context.reload();
  }

  #name({ map, settings }: ReadyColumn): string {
    // Mask attention has no map of its own, and so no key.
    return `${map.key}|${settings.readOut}|${this.#list.map(({ name }) => name).join(';')}`;
  }

  /** The smallest region under the cursor, which lies on top of those around it. */
  #regionUnderCursor(): number {
    const { point } = this.#context.cursor;
    if (point === null) return -1;
    const area = ([x0, y0, x1, y1]: Box): number => (x1 - x0) * (y1 - y0);
    let found = -1;
    this.#list.forEach(({ box }, index) => {
      const inside = point.x >= box[0] && point.y >= box[1] && point.x < box[2] && point.y < box[3];
      if (inside && (found < 0 || area(box) < area(this.#list[found]!.box))) found = index;
    });
    return found;
  }

  async #loadBoxes(): Promise<void> {
    try {
      const loaded = await this.#context.host.request('loadBoxes', { image: this.#context.state.image });
      if (loaded === null) return;
      const regions = loaded.boxes.map(({ box, label, mask }) => ({
        ...{ box, label, mask },
        name: mask ? `${box.join()}m${this.#masks++}` : box.join(),
      }));
      const before = this.#list.length;
      this.#replace([...this.#list, ...regions]);
      const taken = this.#list.length - before;
      if (taken < loaded.total)
        this.#context.say(
          `${loaded.file} has ${loaded.total} regions of this image; ${taken} were added, because at most ${MAXIMUM_REGIONS} are compared.`,
        );
    } catch (error) {
      this.#context.say(problemOf(error).message);
    }
  }

  #table(list: readonly Region[], measured: readonly Measured[]): HTMLElement {
    if (list.length === 0) return element('p', { class: 'empty', text: this.help });
    const { table, body } = createTable('Regions', ['Region', 'Label', 'Pixels', 'Cosine', 'Rank', '']);
    list.forEach(({ box, label, mask }, index) => {
      const values = measured[index];
      const [x0, y0, x1, y1] = box.map(Math.round);
      const row = element(
        'tr',
        { class: index === this.#selected ? 'selected' : '' },
        element('th', { text: String(index + 1), attributes: { scope: 'row' } }),
        element('td', { text: label === '' ? 'drawn' : label }),
        element('td', { class: 'pixels', text: `${x0}, ${y0} – ${x1}, ${y1}${mask ? ', mask' : ''}` }),
        element('td', { text: formatMetric(values?.cosine ?? null) }),
        element('td', { text: values ? `${values.rank} of ${list.length}` : '–' }),
        element(
          'td',
          {},
          removeButton(index, () => this.#replace(list.filter((_, other) => other !== index))),
        ),
      );
      body.append(row);
    });
    return element(
      'div',
      { class: 'table-scroller', attributes: { tabindex: '0', role: 'region', 'aria-label': 'Regions' } },
      table,
    );
  }
}

/** The browser's own button: there may be a thousand. */
function removeButton(index: number, remove: () => void): HTMLElement {
  const name = `Remove region ${index + 1}`;
  const button = element(
    'button',
    { class: 'row-button', title: name, attributes: { type: 'button', 'aria-label': name } },
    icon('close'),
  );
  button.addEventListener('click', remove);
  return button;
}

function measuredOf({ cosines, ranks }: RegionsResult): Measured[] {
  return cosines.map((cosine, index) => ({ cosine, rank: ranks[index] ?? 0 }));
}

function summary(list: readonly Region[], measured: readonly Measured[]): string {
  if (list.length === 0) return 'no region yet';
  if (measured.length === 0) return `${list.length} regions`;
  const mean = measured.reduce((sum, { cosine }) => sum + cosine, 0) / measured.length;
  const first = measured.filter(({ rank }) => rank === 1).length;
  return `mean cosine ${formatMetric(mean)} · own crop first for ${first} of ${measured.length}`;
}
