import { toCsv } from '../../trainer/tables.ts';
import { createMenu, type MenuAction } from '../menu.ts';
import { pictureOf } from './columnDrawing.ts';
import { drawComparison } from './exportComparison.ts';
import { drawPicture, pngOf } from './exportImage.ts';
import { gridSvg } from './exportSvg.ts';
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

/**
 * The list of things that can be taken away from a column. `sourceOf` gives the column as it is; null while it has no map.
 */
export function exportMenu(sourceOf: () => ExportSource | null, say: (text: string) => void): HTMLElement {
  const action = (label: string, run: (source: ExportSource) => Promise<string | null>): MenuAction => ({
    label,
    run: async () => {
      const source = sourceOf();
      return source === null ? null : run(source);
    },
  });
  const offered = (): boolean => (sourceOf()?.all.length ?? 0) > 1;
  return createMenu(
    'Export',
    [
      action('Picture (PNG)', source => savePng(source, false)),
      action('Picture with legend (PNG)', source => savePng(source, true)),
      { ...action('Comparison (PNG)', source => saveComparison(source, false)), offered },
      { ...action('Comparison with legends (PNG)', source => saveComparison(source, true)), offered },
      action('Patches (SVG)', saveSvg),
      action('Numbers (CSV)', saveCsv),
      action('Features (.npy)', source => saveFeatures(source, 'npy')),
      action('Features (.safetensors)', source => saveFeatures(source, 'safetensors')),
      action('Copy as command', copyCommand),
    ],
    say,
  );
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

async function saveCsv(source: ExportSource): Promise<string | null> {
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
