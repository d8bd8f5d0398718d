import { createButton } from '../controls.ts';
import { element } from '../dom.ts';
import { problemOf } from '../panelHost.ts';
import type { ComparisonHost } from './host.ts';
import { pictureSizes } from './picture.ts';

export interface ExportActions {
  host: ComparisonHost;
  /** The charts as a PNG of this size in pixels. */
  png(width: number, height: number): Promise<ArrayBuffer>;
  say(text: string): void;
}

/** The list of things that can be taken away. */
export function exportMenu({ host, png, say }: ExportActions): HTMLElement {
  const run = async (action: () => Promise<string | null>): Promise<void> => {
    root.open = false;
    try {
      const said = await action();
      if (said !== null) say(said);
    } catch (error) {
      say(problemOf(error).message);
    }
  };
  const button = (label: string, action: () => Promise<string | null>): HTMLElement =>
    createButton({ label, onClick: () => void run(action) });
  const saved = (file: string | null): string | null => (file === null ? null : `Saved ${file}`);
  const root = element(
    'details',
    { class: 'export-menu' },
    element('summary', { text: 'Export' }),
    element(
      'div',
      { class: 'export-items', attributes: { role: 'group', 'aria-label': 'Export' } },
      button('Everything measured and summary (CSV)', async () => {
        const files = await host.request('saveCsv', null);
        return files === null ? null : `Saved ${files.join(' and ')}`;
      }),
      button('LaTeX table (.tex)', async () => saved(await host.request('saveLatex', null))),
      button('Copy LaTeX table', async () => {
        await host.request('copyLatex', null);
        return 'Copied the LaTeX table.';
      }),
      ...pictureSizes.map(([width, height]) =>
        button(`Charts (PNG, ${width} × ${height} pixels)`, async () =>
          saved(await host.request('savePng', { bytes: await png(width, height) })),
        ),
      ),
    ),
  );
  root.addEventListener('keydown', event => {
    if (event.key !== 'Escape' || !root.open) return;
    root.open = false;
    root.querySelector('summary')?.focus();
    event.stopPropagation();
  });
  document.addEventListener('click', event => {
    if (event.target instanceof Node && !root.contains(event.target)) root.open = false;
  });
  return root;
}
