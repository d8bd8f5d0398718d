import { toCsv } from '../../trainer/tables.ts';
import { createButton } from '../controls.ts';
import { element } from '../dom.ts';
import { pictureOf } from './columnDrawing.ts';
import { drawComparison } from './exportComparison.ts';
import { drawPicture, pngOf } from './exportImage.ts';
import { gridSvg } from './exportSvg.ts';
import { problemOf } from './host.ts';
import type { InspectorPanel } from './panel.ts';
import type { SaveQuery } from './protocol/requests.ts';
import { readingName } from './readOutLabels.ts';
import type { ReadyColumn } from './views/view.ts';

/** What is exported, and from where. */
export interface ExportSource {
  panel: InspectorPanel;
  ready: ReadyColumn;
  first: ReadyColumn | null;
  isDifference: boolean;
  /** All columns that have a map, this one among them, from left to right. */
  all: readonly Omit<ExportSource, 'all'>[];
}

/** The list of things that can be taken away from a column. */
export class ExportMenu {
  readonly root: HTMLDetailsElement;
  readonly #sourceOf: () => ExportSource | null;
  readonly #several: readonly HTMLElement[];

  /** `sourceOf` gives the column as it is when a button is pressed; null while it has no map. */
  constructor(sourceOf: () => ExportSource | null) {
    this.#sourceOf = sourceOf;
    const button = (label: string, action: (source: ExportSource) => Promise<string | null>): HTMLElement =>
      createButton({ label, onClick: () => void this.#run(action) });
    this.#several = [
      button('Comparison (PNG)', source => saveComparison(source, false)),
      button('Comparison with legends (PNG)', source => saveComparison(source, true)),
    ];
    this.root = element(
      'details',
      { class: 'export-menu' },
      element('summary', { text: 'Export' }),
      element(
        'div',
        { class: 'export-items', attributes: { role: 'group', 'aria-label': 'Export' } },
        button('Picture (PNG)', source => savePng(source, false)),
        button('Picture with legend (PNG)', source => savePng(source, true)),
        ...this.#several,
        button('Patches (SVG)', saveSvg),
        button('Numbers (CSV)', saveCsv),
        button('Features (.npy)', source => saveFeatures(source, 'npy')),
        button('Features (.safetensors)', source => saveFeatures(source, 'safetensors')),
        button('Copy as command', copyCommand),
      ),
    );
    this.root.addEventListener('toggle', () => {
      const several = (this.#sourceOf()?.all.length ?? 0) > 1;
      for (const item of this.#several) item.hidden = !several;
    });
    this.root.addEventListener('keydown', event => {
      if (event.key !== 'Escape' || !this.root.open) return;
      this.root.open = false;
      this.root.querySelector('summary')?.focus();
      event.stopPropagation();
    });
  }

  async #run(action: (source: ExportSource) => Promise<string | null>): Promise<void> {
    const source = this.#sourceOf();
    if (source === null) return;
    this.root.open = false;
    const { panel } = source;
    try {
      const said = await action(source);
      if (said !== null) panel.say(said);
    } catch (error) {
      panel.say(problemOf(error).message);
    }
  }
}

/** File name of what is shown, without an extension. */
function nameOf({ panel, ready }: ExportSource, what?: string): string {
  const image = panel.imageName
    .split(/[\\/]/)
    .pop()!
    .replace(/\.[^.]+$/, '');
  const model = (what ?? ready.name).replaceAll(/[^\p{L}\p{N}]+/gu, '-').replaceAll(/^-|-$/g, '');
  return `${image}-${model}-${panel.state.view}`;
}

async function save(
  source: ExportSource,
  kind: SaveQuery['kind'],
  bytes: ArrayBuffer,
  what?: string,
): Promise<string | null> {
  const name = `${nameOf(source, what)}.${kind}`;
  const path = await source.panel.host.request('save', { name, kind, bytes });
  return path === null ? null : `Saved ${path}`;
}

async function savePng(source: ExportSource, withLegend: boolean): Promise<string | null> {
  return save(source, 'png', await pngOf(pictureOfColumn(source, withLegend)));
}

async function saveComparison(source: ExportSource, withLegend: boolean): Promise<string | null> {
  const pictures = source.all.map(column => pictureOfColumn(column, withLegend));
  const bytes = await pngOf(drawComparison(pictures, source.panel.palette));
  return save(source, 'png', bytes, 'comparison');
}

function pictureOfColumn(source: Omit<ExportSource, 'all'>, withLegend: boolean): OffscreenCanvas {
  const { panel, ready } = source;
  const picture = pictureOf(source, ready);
  if (picture === null) throw new Error('There is no picture yet.');
  const { opacity, smooth } = panel.state;
  const title = `${panel.imageName} · ${panel.view?.label ?? ''} · ${ready.name} · ${readingName(ready.settings)}`;
  return drawPicture({
    image: panel.image,
    grid: ready.map.grid,
    picture,
    opacity,
    smooth,
    legend: withLegend ? { title } : null,
    palette: panel.palette,
  });
}

function saveSvg(source: ExportSource): Promise<string | null> {
  const { panel, ready } = source;
  const cells = pictureOf(source, ready)?.cells ?? null;
  const text = gridSvg(
    ready.map.grid,
    cells,
    panel.state.opacity,
    patch => panel.view?.describe(ready, patch) ?? '',
  );
  return save(source, 'svg', encode(text));
}

function saveCsv(source: ExportSource): Promise<string | null> {
  const table = source.panel.view?.csv?.(source.ready) ?? [];
  if (table.length < 2) throw new Error('This view has no numbers to export yet.');
  return save(source, 'csv', encode(toCsv(table)));
}

async function saveFeatures(
  { panel, ready }: ExportSource,
  format: 'npy' | 'safetensors',
): Promise<string | null> {
  const path = await panel.host.request('saveFeatures', { key: ready.map.key, format });
  return path === null ? null : `Saved ${path}`;
}

async function copyCommand({ panel, ready }: ExportSource): Promise<string> {
  const options = panel.view?.commandOptions?.(ready) ?? {};
  const { readOut } = panel.view?.readsRegions === true ? ready.settings : ready.query;
  const query = { ...ready.query, readOut };
  const line = await panel.host.request('copyCommand', { view: panel.state.view, query, ...options });
  return `Copied: ${line}`;
}

function encode(text: string): ArrayBuffer {
  return new TextEncoder().encode(text).buffer as ArrayBuffer;
}
