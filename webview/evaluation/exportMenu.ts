import { toCsv } from '../../trainer/tables.ts';
import { createButton } from '../controls.ts';
import type { CurveCard } from '../curveCard.ts';
import { element } from '../dom.ts';
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
import { type EvaluationHost, problemOf } from './host.ts';
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

/** The list of things that can be taken away. */
export class ExportMenu {
  readonly root: HTMLDetailsElement;
  readonly #host: EvaluationHost;
  readonly #sourceOf: () => ExportSource | null;
  readonly #say: (text: string) => void;

  constructor(host: EvaluationHost, sourceOf: () => ExportSource | null, say: (text: string) => void) {
    this.#host = host;
    this.#sourceOf = sourceOf;
    this.#say = say;
    const button = (label: string, action: (source: ExportSource) => Promise<string | null>): HTMLElement =>
      createButton({ label, onClick: () => void this.#run(action) });
    this.root = element(
      'details',
      { class: 'export-menu' },
      element('summary', { text: 'Export' }),
      element(
        'div',
        { class: 'export-items', attributes: { role: 'group', 'aria-label': 'Export' } },
        button('Copy LaTeX row', source => this.#copy(latexRow(source.comparison.after), 'LaTeX row')),
        button('Copy LaTeX table', source => this.#copy(latexTable(source.comparison), 'LaTeX table')),
        button('Copy numbers', source =>
          this.#copy(toTabs(numbersTable(source.comparison)), 'twelve numbers'),
        ),
        button('LaTeX table (.tex)', source => this.#save('table', 'tex', latexTable(source.comparison))),
        button('Twelve numbers (CSV)', source =>
          this.#save('numbers', 'csv', toCsv(numbersTable(source.comparison))),
        ),
        button('Classes (CSV)', source =>
          this.#save('classes', 'csv', toCsv(classesTable(source.comparison))),
        ),
        button('Confusions (CSV)', ({ comparison, state }) =>
          this.#save(`confusions-${state.reading}`, 'csv', toCsv(confusionsTable(comparison, state.reading))),
        ),
        button('Everything (JSON)', source => this.#save('evaluation', 'json', jsonText(source.comparison))),
        button('Charts (PNG)', async ({ charts, palette }) =>
          this.#save('charts', 'png', await chartsPng(charts, palette)),
        ),
        button('Matrix (PNG)', async ({ matrix, state }) =>
          this.#save(`matrix-${state.reading}`, 'png', await matrix.png()),
        ),
        button('Open report.json', async () => {
          await this.#host.request('openReport', { side: 'after' });
          return null;
        }),
      ),
    );
    this.root.addEventListener('keydown', event => {
      if (event.key !== 'Escape' || !this.root.open) return;
      this.root.open = false;
      this.root.querySelector('summary')?.focus();
      event.stopPropagation();
    });
    document.addEventListener('click', event => {
      if (event.target instanceof Node && !this.root.contains(event.target)) this.root.open = false;
    });
  }

  async #run(action: (source: ExportSource) => Promise<string | null>): Promise<void> {
    const source = this.#sourceOf();
    if (source === null) return;
    this.root.open = false;
    try {
      const said = await action(source);
      if (said !== null) this.#say(said);
    } catch (error) {
      this.#say(problemOf(error).message);
    }
  }

  async #copy(text: string, what: string): Promise<string> {
    await this.#host.request('copy', { text });
    return `Copied the ${what}.`;
  }

  async #save(name: string, kind: SaveQuery['kind'], content: string | ArrayBuffer): Promise<string | null> {
    const bytes =
      typeof content === 'string' ? (new TextEncoder().encode(content).buffer as ArrayBuffer) : content;
    const path = await this.#host.request('save', { name: `${name}.${kind}`, kind, bytes });
    return path === null ? null : `Saved ${path}`;
  }
}

/** Columns between tabs, as spreadsheets paste them. */
const toTabs = (table: readonly (readonly string[])[]): string =>
  table.map(row => `${row.join('\t')}\n`).join('');
