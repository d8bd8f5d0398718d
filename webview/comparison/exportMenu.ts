import { createMenu } from '../menu.ts';
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
  const saved = (file: string | null): string | null => (file === null ? null : `Saved ${file}`);
  return createMenu(
    'Export',
    [
      {
        label: 'Everything measured and summary (CSV)',
        run: async () => saved((await host.request('saveCsv', null))?.join(' and ') ?? null),
      },
      { label: 'LaTeX table (.tex)', run: async () => saved(await host.request('saveLatex', null)) },
      {
        label: 'Copy LaTeX table',
        run: async () => {
          await host.request('copyLatex', null);
          return 'Copied the LaTeX table.';
        },
      },
      ...pictureSizes.map(([width, height]) => ({
        label: `Charts (PNG, ${width} × ${height} pixels)`,
        run: async () => saved(await host.request('savePng', { bytes: await png(width, height) })),
      })),
    ],
    say,
  );
}
