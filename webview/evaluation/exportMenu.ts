import { toCsv } from '../../trainer/tables.ts';
import type { CurveCard } from '../curveCard.ts';
import { createMenu, type MenuAction } from '../menu.ts';
import type { Palette } from '../theme.ts';
import type { Comparison } from './comparison.ts';
import { chartsPng } from './exportPictures.ts';
import {
  classesTable,
  confusionsTable,
  jsonText,
  latexRow,
  latexTable,
  numbersTable,
} from './exportTables.ts';
import type { EvaluationHost } from './host.ts';
import type { MatrixCanvas } from './matrixCanvas.ts';
import type { EvaluationState, SaveQuery } from './protocol.ts';

/** What is exported. */
export interface ExportSource {
  comparison: Comparison;
  state: EvaluationState;
  palette: Palette;
  charts: readonly CurveCard[];
  matrix: MatrixCanvas;
}

/** The list of things that can be taken away. `sourceOf` gives what is in view; null while there is nothing. */
export function exportMenu(
  host: EvaluationHost,
  sourceOf: () => ExportSource | null,
  say: (text: string) => void,
): HTMLElement {
  const action = (label: string, run: (source: ExportSource) => Promise<string | null>): MenuAction => ({
    label,
    run: async () => {
      const source = sourceOf();
      return source === null ? null : run(source);
    },
  });
  const copy = async (text: string, what: string): Promise<string> => {
    await host.request('copy', { text });
    return `Copied the ${what}.`;
  };
  const save = async (
    name: string,
    kind: SaveQuery['kind'],
    content: string | ArrayBuffer,
  ): Promise<string | null> => {
    const bytes =
      typeof content === 'string' ? (new TextEncoder().encode(content).buffer as ArrayBuffer) : content;
    const path = await host.request('save', { name: `${name}.${kind}`, kind, bytes });
    return path === null ? null : `Saved ${path}`;
  };
  return createMenu(
    'Export',
    [
      action('Copy LaTeX row', ({ comparison }) => copy(latexRow(comparison.after), 'LaTeX row')),
      action('Copy LaTeX table', ({ comparison }) => copy(latexTable(comparison), 'LaTeX table')),
      action('Copy numbers', ({ comparison }) => copy(toTabs(numbersTable(comparison)), 'twelve numbers')),
      action('LaTeX table (.tex)', ({ comparison }) => save('table', 'tex', latexTable(comparison))),
      action('Twelve numbers (CSV)', ({ comparison }) =>
        save('numbers', 'csv', toCsv(numbersTable(comparison))),
      ),
      action('Classes (CSV)', ({ comparison }) => save('classes', 'csv', toCsv(classesTable(comparison)))),
      action('Confusions (CSV)', ({ comparison, state }) =>
        save(`confusions-${state.reading}`, 'csv', toCsv(confusionsTable(comparison, state.reading))),
      ),
      action('Everything (JSON)', ({ comparison }) => save('evaluation', 'json', jsonText(comparison))),
      action('Charts (PNG)', async ({ charts, palette }) =>
        save('charts', 'png', await chartsPng(charts, palette)),
      ),
      action('Matrix (PNG)', async ({ matrix, state }) =>
        save(`matrix-${state.reading}`, 'png', await matrix.png()),
      ),
      action('Open report.json', async () => {
        await host.request('openReport', { side: 'after' });
        return null;
      }),
    ],
    say,
  );
}

/** Columns between tabs, as spreadsheets paste them. */
const toTabs = (table: readonly (readonly string[])[]): string =>
  table.map(row => `${row.join('\t')}\n`).join('');
