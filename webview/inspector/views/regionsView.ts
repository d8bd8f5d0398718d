import { createButton } from '../../controls.ts';
import { element } from '../../dom.ts';
import { formatCosine } from '../../format.ts';
import { drawPlate } from '../../plate.ts';
import { patchBox } from '../featureMap.ts';
import { type ProgressListener, problemOf } from '../host.ts';
import { drawOutline } from '../marks.ts';
import {
  type Box,
  type CopyCommandQuery,
  type LoadedBoxes,
  MAXIMUM_REGIONS,
  type RegionsResult,
} from '../protocol/requests.ts';
import type { WordStore } from '../wordStore.ts';
import { isSameWord, nearWordText } from './nearWordList.ts';
import {
  nameFields,
  nameHeadings,
  namesSummary,
  type RegionFeatures,
  RegionNames,
  regionFeatures,
} from './regionNames.ts';
import { drawMask } from './regionOutline.ts';
import { type Measured, type Named, type Region, regionLegend } from './regionTable.ts';
import type { Picture, ReadyColumn, View, ViewContext } from './view.ts';
import { WordsField } from './wordsField.ts';

/** What the service said of the regions in a column. */
interface Answer {
  measured: Measured[];
  features: RegionFeatures;
}

/**
 * Boxes and masks of the image: does a region's pooled dense feature find its own crop among the crops of all regions,
 * and which words are nearest to the two?
 */
export class RegionsView implements View {
  readonly id = 'regions';
  readonly label = 'Regions';
  readonly help = 'Hold shift and drag to draw a box.';
  readonly readsRegions = true;
  readonly controls: HTMLElement;
  readonly #context: ViewContext;
  /** By image index. */
  readonly #regions = new Map<number, Region[]>();
  readonly #results = new Map<string, Answer>();
  readonly #words: WordStore;
  readonly #field: WordsField;
  readonly #takeLabels: HTMLElement;
  readonly #names = new RegionNames();
  #selected = -1;
  #masks = 0;

  constructor(context: ViewContext, words: WordStore) {
    this.#context = context;
    this.#words = words;
    this.#field = new WordsField(words);
    this.#takeLabels = createButton({
      label: 'Labels as words',
      onClick: () => words.change({ list: [...words.settings.list, ...this.#missingLabels()] }),
    });
    this.#takeLabels.title = 'Add the labels of the regions to the words';
    this.controls = element(
      'div',
      { class: 'view-controls' },
      createButton({ label: 'Load boxes or masks…', onClick: () => void this.#loadBoxes() }),
      createButton({ label: 'Clear', onClick: () => this.#replace([]) }),
      this.#field.root,
      this.#takeLabels,
      element('span', {
        class: 'card-note',
        text: 'Shift and drag draws a box; B adds the patch under the cursor.',
      }),
    );
  }

  refreshControls(): void {
    this.#field.refresh();
    this.#takeLabels.hidden = this.#missingLabels().length === 0;
  }

  async load(
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    const boxes = this.#list.map(({ box }) => box);
    const masks = this.#list.map(({ mask }) => mask);
    this.refreshControls();
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
      this.#results.set(name, { measured: measuredOf(result), features: regionFeatures(result) });
      this.#context.redraw();
    }
    await this.#words.load(columns, signal, progress);
  }

  picture(column: ReadyColumn): Picture {
    const list = this.#list;
    const measured = this.#measuredOf(column);
    const named = this.#namedOf(column);
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
      legend: () =>
        list.length === 0
          ? [element('p', { class: 'empty', text: this.help })]
          : regionLegend(list, measured, named, this.#selected, {
              select: index => this.#select(index),
              remove: index => this.#replace(list.filter((_, other) => other !== index)),
            }),
      legendKey: `${JSON.stringify(list.map(({ name, label }) => [name, label]))}|${JSON.stringify(measured)}|${this.#selected}|${named.words?.names.join()}|${JSON.stringify(named.names.slice(0, 1))}`,
      facts: [
        summary(list, measured),
        namesSummary(
          list.map(({ label }) => label),
          named.names,
          named.words,
        ),
        this.#namesProblem(column),
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
    const measured = this.#measuredOf(column)[index];
    const { label } = this.#list[index]!;
    const { words, names } = this.#namedOf(column);
    const name = names[index];
    return [
      `region ${index + 1}${label === '' ? '' : ` (${label})`}`,
      ...(measured ? [`cosine ${formatCosine(measured.cosine)}, rank ${measured.rank}`] : []),
      ...(words && name
        ? [
            `by its dense feature ${nearWordText(name.dense.slice(0, 1), words)}`,
            `by its crop ${nearWordText(name.crop.slice(0, 1), words)}`,
          ]
        : []),
    ].join(' · ');
  }

  pick(): boolean {
    const index = this.#regionUnderCursor();
    this.#select(index);
    return index >= 0;
  }

  #select(index: number): void {
    this.#selected = index === this.#selected ? -1 : index;
    this.#context.redraw();
  }

  takeBoxes(boxes: LoadedBoxes['boxes']): void {
    const regions = boxes.map(({ box, label, mask }) => ({
      ...{ box, label, mask },
      name: mask ? `${box.join()}m${this.#masks++}` : box.join(),
    }));
    const known = new Set(this.#list.map(({ name }) => name));
    this.#replace([...this.#list, ...regions.filter(({ name }) => !known.has(name))]);
    this.#selected = this.#list.findIndex(({ name }) => name === regions[0]?.name);
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
    const measured = this.#measuredOf(column);
    const { words, names } = this.#namedOf(column);
    return [
      [
        ...['region', 'label', 'x0', 'y0', 'x1', 'y1', 'pooled over', 'cosine', 'rank'],
        ...(words ? nameHeadings : []),
      ],
      ...this.#list.map(({ box, label, mask }, index) => [
        String(index + 1),
        label,
        ...box.map(String),
        mask ? 'mask' : 'box',
        String(measured[index]?.cosine ?? ''),
        String(measured[index]?.rank ?? ''),
        ...(words ? nameFields(names[index], words) : []),
      ]),
    ];
  }

  commandOptions(): Partial<CopyCommandQuery> {
    return {
      boxes: this.#list.map(({ box }) => box),
      masked: this.#list.some(({ mask }) => mask !== null),
      words: this.#words.settings,
    };
  }

  #measuredOf(column: ReadyColumn): readonly Measured[] {
    return this.#results.get(this.#name(column))?.measured ?? [];
  }

  #namedOf(column: ReadyColumn): Named {
    const words = this.#words.of(column);
    return { words, names: this.#names.of(this.#results.get(this.#name(column))?.features, words) };
  }

  #namesProblem(column: ReadyColumn): string {
    const problem = this.#words.settings.list.length > 0 ? this.#words.problemOf(column) : null;
    return problem === null ? '' : `without names: ${problem.message}`;
  }

  /** Labels of the regions that are not among the words. */
  #missingLabels(): string[] {
    const { list } = this.#words.settings;
    const labels = this.#list.map(({ label }) => label.replaceAll(/[,\r\n]/g, ' ').trim());
    const missing = labels.filter(label => label !== '' && !list.some(word => isSameWord(word, label)));
    return [...new Set(missing)];
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
      const before = this.#list.length;
      this.takeBoxes(loaded.boxes);
      const taken = this.#list.length - before;
      if (taken < loaded.total)
        this.#context.say(
          `${loaded.file} has ${loaded.total} regions of this image; ${taken} were added, because at most ${MAXIMUM_REGIONS} are compared.`,
        );
    } catch (error) {
      this.#context.say(problemOf(error).message);
    }
  }
}

function measuredOf({ cosines, ranks }: RegionsResult): Measured[] {
  return cosines.map((cosine, index) => ({ cosine, rank: ranks[index] ?? 0 }));
}

function summary(list: readonly Region[], measured: readonly Measured[]): string {
  if (list.length === 0) return 'no region yet';
  if (measured.length === 0) return `${list.length} regions`;
  const mean = measured.reduce((sum, { cosine }) => sum + cosine, 0) / measured.length;
  const first = measured.filter(({ rank }) => rank === 1).length;
  return `mean cosine ${formatCosine(mean)} · own crop first for ${first} of ${measured.length}`;
}
