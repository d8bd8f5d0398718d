import type { Palette } from '../theme.ts';
import { Column } from './column.ts';
import { type DrawableColumn, drawColumn } from './columnDrawing.ts';
import { ColumnHeader } from './columnHeader.ts';
import { ColumnView } from './columnView.ts';
import { type ExportSource, exportMenu } from './exportMenu.ts';
import { neighbourPatch, patchAt, patchCentre } from './featureMap.ts';
import { problemOf } from './host.ts';
import type { MapStore } from './mapStore.ts';
import { sourceName } from './modelOptions.ts';
import type { InspectorPanel } from './panel.ts';
import type { ColumnSettings, RunSteps } from './protocol/models.ts';
import { MAXIMUM_COLUMNS } from './protocol/state.ts';
import type { Point } from './stage.ts';
import type { Viewport } from './viewport.ts';
import type { ReadyColumn } from './views/view.ts';

const arrows: Record<string, readonly [down: number, right: number]> = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};

/** The columns of the panel from left to right, and what their pointers and keys do. */
export class Columns {
  readonly #panel: InspectorPanel;
  readonly #root: HTMLElement;
  readonly #store: MapStore;
  #columns: { column: Column; view: ColumnView }[] = [];

  constructor(panel: InspectorPanel, root: HTMLElement, store: MapStore) {
    this.#panel = panel;
    this.#root = root;
    this.#store = store;
  }

  /** The columns whose map is there. */
  get ready(): ReadyColumn[] {
    return this.#columns.flatMap((_, index) => this.#readyAt(index) ?? []);
  }

  /** Keys of the maps that must stay in memory. */
  get keysInView(): ReadonlySet<string> {
    return new Set(this.#columns.flatMap(({ column: { map } }) => map?.key ?? []));
  }

  /** Replaces all columns. */
  replace(settings: readonly ColumnSettings[]): void {
    for (const { column, view } of this.#columns) {
      column.dispose();
      view.dispose();
    }
    this.#columns = [];
    for (const own of settings) this.#append(own);
    this.updateHeaders();
  }

  /** Another column like the last one, to be changed. */
  add(): void {
    const last = this.#columns.at(-1);
    if (last === undefined || this.#columns.length >= MAXIMUM_COLUMNS) return;
    this.#append({ ...last.column.settings });
    this.#remember();
    const added = this.#columns.at(-1)!.column;
    void added.load(this.#panel.state.image, this.#panel.trusted);
    this.updateHeaders();
  }

  remove(column: Column): void {
    if (this.#columns.length <= 1) return;
    const index = this.#indexOf(column);
    const [removed] = this.#columns.splice(index, 1);
    removed?.column.dispose();
    removed?.view.dispose();
    this.#columns[Math.min(index, this.#columns.length - 1)]?.view.stage.canvas.focus();
    this.#remember();
    this.updateHeaders();
    this.#panel.reload();
  }

  /** Changes the settings of one column and asks for its map. */
  change(index: number, change: Partial<ColumnSettings>): void {
    const column = this.#columns[index]?.column;
    if (column === undefined) return;
    if (change.source !== undefined) column.following.reset();
    this.#set(column, change);
  }

  #set(column: Column, change: Partial<ColumnSettings>, quietly = false): void {
    column.settings = { ...column.settings, ...change };
    this.#remember();
    this.updateHeaders();
    void column.load(this.#panel.state.image, this.#panel.trusted, quietly);
  }

  loadAll(): void {
    for (const { column } of this.#columns) void column.load(this.#panel.state.image, this.#panel.trusted);
  }

  /** The maps of now are of no use: another image, or other bytes in its file. */
  imageChanged(gone: boolean): void {
    if (gone) {
      this.#panel.redraw();
      return;
    }
    for (const { column } of this.#columns) column.forget();
    this.loadAll();
    this.#panel.redraw();
  }

  /** Runs have saved: columns that look at the newest there is of one go on. */
  followRuns(before: readonly RunSteps[], now: readonly RunSteps[]): void {
    // All or none: what the view computes of one column's map would be given up for the next one's.
    const busy = this.#panel.isViewLoading || this.isLoading;
    for (const { column } of this.#columns) {
      const source = column.following.next(column.settings.source, before, now, busy);
      if (source !== null) this.#set(column, { source }, true);
    }
  }

  /** A map is on its way. */
  get isLoading(): boolean {
    return this.#columns.some(({ column }) => column.isLoading);
  }

  updateHeaders(): void {
    this.#columns.forEach(({ column, view }, index) => {
      view.header.setPlace(index);
      view.header.update(column.settings, this.#panel.models, this.#panel.runs, column.description, {
        removable: this.#columns.length > 1,
        readsRegions: this.#panel.view?.readsRegions === true,
      });
    });
    this.#root.dataset.count = String(this.#columns.length);
  }

  setPalette(palette: Palette): void {
    for (const { view } of this.#columns) view.setPalette(palette);
  }

  draw(): void {
    this.#columns.forEach(({ column, view }, index) => {
      const { gone, problem } = this.#panel.imageProblem;
      if (gone && column.map === null)
        view.status.show({
          kind: 'problem',
          problem: { kind: 'image', message: problem ?? 'The image file is gone.' },
          otherSize: null,
        });
      else view.status.show(column.status);
      view.draw(drawColumn(this.#drawableAt(index)));
    });
  }

  #drawableAt(index: number): DrawableColumn {
    const { column } = this.#columns[index]!;
    return {
      panel: this.#panel,
      ready: this.#readyAt(index),
      first: this.#readyAt(0),
      isDifference: this.#panel.state.difference && index > 0 && index === this.#columns.length - 1,
      name: this.#nameOf(column),
      loading: column.isLoading && column.status.kind === 'ready',
    };
  }

  #append(settings: ColumnSettings): void {
    const panel = this.#panel;
    const column: Column = new Column(settings, panel.host, this.#store, {
      onMap: quietly => panel.reload(quietly),
      onDescribed: () => panel.reload(),
      onStatus: () => {
        this.updateHeaders();
        panel.redraw();
      },
      onProgress: () => this.#columns[this.#indexOf(column)]?.view.status.show(column.status),
      // Colours are matched among all columns: there the view asks when all maps are there.
      wantedClusters: () => (this.#columns.length === 1 ? (panel.view?.wantedClusters?.() ?? null) : null),
      onClusters: (clusters, settings) => panel.view?.takeClusters?.(clusters, settings),
    });
    const change = (part: Partial<ColumnSettings>): void => this.change(this.#indexOf(column), part);
    const browse = (): void => void this.#askForModel(column, 'browseModel');
    const menu = exportMenu(
      () => this.#exportSource(column),
      text => panel.say(text),
    );
    const view = new ColumnView(
      new ColumnHeader(settings, {
        change,
        browse,
        isReady: () => !column.isLoading,
        remove: () => this.remove(column),
      }),
      {
        useDemoModel: () => change({ source: { kind: 'demo' } }),
        browse,
        getModel: () => void this.#askForModel(column, 'getModel'),
        cancel: () => column.cancel(),
        retry: () => void column.load(panel.state.image, panel.trusted),
        useSize: size => change({ size }),
      },
      {
        onViewport: viewport => this.#follow(column, viewport),
        onHover: point => this.#hover(point),
        onPick: point => this.#pick(column, point),
        onBox: box => panel.view?.drawBox?.([...box]),
        onKey: event => this.#handleKey(column, event),
      },
      menu,
      panel.palette,
    );
    this.#columns.push({ column, view });
    this.#root.append(view.root);
  }

  /** A column that can be exported, with all others; null while it has no map. */
  #exportSource(column: Column): ExportSource | null {
    const columns = this.#columns.map((_, index) => this.#drawableAt(index));
    const { ready, ...own } = columns[this.#indexOf(column)]!;
    const all = columns.flatMap(other => (other.ready === null ? [] : { ...other, ready: other.ready }));
    return ready === null ? null : { ...own, ready, all };
  }

  #indexOf(column: Column): number {
    return this.#columns.findIndex(candidate => candidate.column === column);
  }

  #nameOf({ settings }: Column): string {
    return settings.source === null ? 'no model' : sourceName(settings.source, this.#panel.models);
  }

  #readyAt(index: number): ReadyColumn | null {
    const column = this.#columns[index]?.column;
    if (!column?.map || !column.query || column.query.image !== this.#panel.state.image) return null;
    const { settings, query, map, description } = column;
    return { index, name: this.#nameOf(column), settings, query, map, layers: description?.layers ?? null };
  }

  #remember(): void {
    this.#panel.remember({ columns: this.#columns.map(({ column }) => column.settings) });
  }

  async #askForModel(column: Column, method: 'browseModel' | 'getModel'): Promise<void> {
    try {
      const source = await this.#panel.host.request(method, null);
      const index = this.#indexOf(column);
      if (source !== null && index >= 0) this.change(index, { source, layer: null, readOut: 'value' });
    } catch (error) {
      this.#panel.say(problemOf(error).message);
    }
  }

  #follow(from: Column, viewport: Viewport): void {
    if (this.#panel.state.synced === false) return;
    for (const { column, view } of this.#columns) if (column !== from) view.stage.follow(viewport);
  }

  #hover(point: Point | null): void {
    const { cursor, view } = this.#panel;
    const before = cursor.hovered;
    cursor.hovered = point;
    if (point === before) return;
    if (view?.moved) view.moved();
    else this.#panel.redraw();
  }

  #pick(column: Column, point: Point): void {
    const ready = this.#readyAt(this.#indexOf(column));
    if (ready === null) return;
    this.#panel.cursor.hovered = point;
    const patch = patchAt(ready.map.grid, point);
    if (patch >= 0) this.#panel.view?.pick?.(ready, patch);
  }

  /** Arrow keys move the cursor, Enter and Space pick, Escape frees. */
  #handleKey(column: Column, event: KeyboardEvent): boolean {
    const ready = this.#readyAt(this.#indexOf(column));
    if (ready === null) return false;
    const { cursor } = this.#panel;
    const { grid } = ready.map;
    const current = cursor.hovered === null ? -1 : patchAt(grid, cursor.hovered);
    const arrow = arrows[event.key];
    if (arrow !== undefined) {
      const patch = current < 0 ? 0 : neighbourPatch(grid, current, ...arrow);
      this.#hover(patchCentre(grid, patch));
      return true;
    }
    if (event.key === 'Enter' || event.key === ' ') {
      if (current < 0) return false;
      return this.#panel.view?.pick?.(ready, current) ?? false;
    }
    if (event.key !== 'Escape') return this.#panel.view?.key?.(event, ready, current) ?? false;
    cursor.clear();
    this.#panel.view?.moved?.();
    this.#panel.redraw();
    return true;
  }
}
