import { createButton, createProgressRing } from '../controls.ts';
import { element } from '../dom.ts';
import { DrawSchedule } from '../drawSchedule.ts';
import { icon } from '../icons.ts';
import { listenToPanel } from '../panelEvents.ts';
import { type Palette, readPalette } from '../theme.ts';
import { Toast } from '../toast.ts';
import { acquireApi } from '../vscodeApi.ts';
import { ClassTable } from './classTable.ts';
import { Comparison } from './comparison.ts';
import { exportMenu } from './exportMenu.ts';
import { Header } from './header.ts';
import { EvaluationHost, problemOf } from './host.ts';
import { MatrixTab } from './matrixTab.ts';
import { Overview } from './overview.ts';
import { defaultState, restoreState } from './panelState.ts';
import {
  type EvaluationState,
  type MessageFromEvaluation,
  type MessageToEvaluation,
  type ReportChoice,
  type ReportMessage,
  type RunNumbers,
  referenceKey,
  type SegmentationMessage,
  type Side,
} from './protocol.ts';
import { RegionsPane } from './regionsPane.ts';
import { SegmentationTab } from './segmentationTab.ts';

/** Parts of the panel, made once the host has said how to begin. */
interface Parts {
  header: Header;
  overview: Overview;
  classes: ClassTable;
  matrix: MatrixTab;
  regions: RegionsPane;
  segmentation: SegmentationTab;
}

/** The evaluation panel: keeps what the host says, and draws it. */
export class EvaluationPanel {
  readonly #api = acquireApi<MessageFromEvaluation, EvaluationState>();
  readonly #host = new EvaluationHost(this.#api);
  readonly #root: HTMLElement;
  readonly #toast = new Toast();
  readonly #message = element('div', { class: 'panel-message' });
  readonly #tab = element('div', {
    class: 'tab-content',
    attributes: { id: 'evaluation-tab', role: 'tabpanel', tabindex: '-1' },
  });
  readonly #reports = new Map<Side, ReportMessage>();
  #parts: Parts | null = null;
  #state: EvaluationState = defaultState();
  #choices: readonly ReportChoice[] = [];
  #runs: readonly RunNumbers[] = [];
  #segmentation: SegmentationMessage | null = null;
  #comparison: Comparison | null = null;
  #palette: Palette = readPalette();
  readonly #drawing = new DrawSchedule(() => this.#draw());

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  start(): void {
    listenToPanel<MessageToEvaluation>({
      received: message => this.#receive(message),
      recoloured: () => this.#recolour(),
      failed: message => this.#host.post({ kind: 'panelError', message }),
    });
    const stored = this.#api.getState();
    this.#host.post({ kind: 'ready', state: stored === undefined ? null : restoreState(stored) });
  }

  #receive(message: MessageToEvaluation): void {
    switch (message.kind) {
      case 'initial':
        this.#begin(restoreState(message.state), message.choices);
        break;
      case 'choices':
        this.#choices = message.choices;
        break;
      case 'report':
        this.#takeReport(message);
        break;
      case 'segmentation':
        this.#segmentation = message;
        break;
      case 'runNumbers':
        this.#runs = message.runs;
        break;
      case 'progress':
        this.#host.receiveProgress(message);
        return;
      case 'response':
        this.#host.receiveResponse(message);
        return;
    }
    this.#drawing.request();
  }

  #begin(state: EvaluationState, choices: readonly ReportChoice[]): void {
    this.#state = state;
    this.#choices = choices;
    this.#reports.clear();
    this.#comparison = null;
    this.#api.setState(state);
    const remember = (change: Partial<EvaluationState>): void => this.#remember(change);
    const say = (text: string): void => this.#toast.say(text);
    const overview = new Overview(state, this.#palette, remember);
    const matrix = new MatrixTab(
      state,
      { remember, open: (truth, named, side) => this.#select(truth, named, side) },
      this.#palette,
    );
    const exports = exportMenu(
      this.#host,
      () =>
        this.#comparison && {
          comparison: this.#comparison,
          state: this.#state,
          palette: this.#palette,
          charts: [overview.epochs, overview.sweep],
          matrix: matrix.matrix,
        },
      say,
    );
    this.#parts = {
      header: new Header(state, { remember, browse: side => void this.#browse(side), exports }),
      overview,
      classes: new ClassTable(state, { remember, open: place => this.#select(place, null, 'after') }),
      matrix,
      regions: new RegionsPane({ host: this.#host, remember, say }),
      segmentation: new SegmentationTab({ host: this.#host, remember, say }),
    };
    const { header, classes, regions, segmentation } = this.#parts;
    this.#tab.replaceChildren(overview.root, classes.root, matrix.root, segmentation.root);
    const body = element('div', { class: 'evaluation-body' }, this.#tab, regions.root);
    this.#root.replaceChildren(header.root, this.#message, body, this.#toast.root, regions.dialog);
  }

  #takeReport(message: ReportMessage): void {
    this.#reports.set(message.side, message);
    const [before, after] = [this.#reports.get('before'), this.#reports.get('after')];
    if (!after?.report) {
      this.#comparison = null;
      return;
    }
    // The latest evaluation may still be the one before training: there is nothing to compare it with.
    const isSame = before?.path === after.path;
    this.#comparison = new Comparison(isSame ? null : (before?.report ?? null), after.report);
  }

  #select(truth: number | null, named: number | null, side: Side): void {
    const comparison = this.#comparison;
    if (comparison === null) return;
    const place = (own: number | null): number | null =>
      own === null ? null : comparison.placeIn(side, own);
    const selection = { side, reading: this.#state.reading, truth: place(truth), named: place(named) };
    if (selection.truth === -1 || selection.named === -1) {
      this.#toast.say('This report does not have the class.');
      return;
    }
    this.#remember({ selection: { ...selection, outcome: 'all' } });
  }

  async #browse(side: Side): Promise<void> {
    try {
      const reference = await this.#host.request('browseReport', null);
      if (reference === null) return;
      this.#remember(
        side === 'before' ? { before: reference, selection: null } : { after: reference, selection: null },
      );
    } catch (error) {
      this.#toast.say(problemOf(error).message);
    }
  }

  #draw(): void {
    if (this.#parts === null) return;
    const { header, overview, classes, matrix, regions, segmentation } = this.#parts;
    const comparison = this.#comparison;
    const { tab } = this.#state;
    header.update(this.#state, this.#choices);
    header.warn(comparison?.warnings() ?? []);
    const isSegmentation = tab === 'segmentation';
    this.#showMessages();
    this.#message.classList.toggle('elsewhere', isSegmentation);
    this.#tab.hidden = comparison === null && !isSegmentation;
    this.#tab.setAttribute('aria-labelledby', `tab-${tab}`);
    this.#tab.dataset.tab = tab;
    overview.root.hidden = tab !== 'overview';
    classes.root.hidden = tab !== 'classes';
    matrix.root.hidden = tab !== 'confusions';
    segmentation.root.hidden = !isSegmentation;
    if (isSegmentation) segmentation.update(this.#segmentation, this.#state);
    if (comparison === null) {
      regions.root.hidden = true;
      return;
    }
    if (tab === 'overview') overview.update(comparison, this.#runs, this.#state);
    if (tab === 'classes') classes.update(comparison, this.#state);
    // Kept up to date on every tab: it can be exported from each.
    matrix.update(comparison, this.#state);
    regions.update(comparison, tab === 'overview' || isSegmentation ? null : this.#state.selection);
  }

  /** What stands in the way of a side, in the place of what would be drawn. */
  #showMessages(): void {
    const cards: HTMLElement[] = [];
    for (const side of ['after', 'before'] as const) {
      const message = this.#reports.get(side);
      const isPending =
        this.#state[side] !== null &&
        referenceKey(message?.reference ?? null) !== referenceKey(this.#state[side]);
      if (isPending && side === 'after' && this.#comparison === null) {
        cards.push(
          element(
            'div',
            { class: 'panel-card' },
            createProgressRing(),
            element('p', { text: 'Reading the report…' }),
          ),
        );
      } else if (message?.problem && !isPending) {
        cards.push(this.#problemCard(side, message.problem.kind, message.problem.message));
      } else if (side === 'after' && this.#state.after === null) {
        cards.push(this.#problemCard(side, 'none', 'Choose a report to look at.'));
      }
    }
    const key = cards.map(card => card.textContent).join('|');
    if (this.#message.dataset.key === key) return;
    this.#message.dataset.key = key;
    this.#message.replaceChildren(...cards);
    this.#message.hidden = cards.length === 0;
  }

  #problemCard(side: Side, kind: string, text: string): HTMLElement {
    const titles: Readonly<Record<string, string>> = {
      none: 'No evaluation yet',
      gone: 'The report is gone',
      schema: 'A report of another version',
      unreadable: 'The report cannot be read',
    };
    const severity = kind === 'none' ? 'info' : 'error';
    return element(
      'div',
      { class: 'panel-card', attributes: { role: severity === 'error' ? 'alert' : 'status' } },
      icon(severity),
      element('div', {}, element('strong', { text: titles[kind] ?? '' }), element('p', { text })),
      createButton({ label: 'Another Report…', onClick: () => void this.#browse(side) }),
    );
  }

  #remember(change: Partial<EvaluationState>): void {
    this.#state = { ...this.#state, ...change };
    this.#host.remember(this.#state);
    this.#drawing.request();
  }

  #recolour(): void {
    this.#palette = readPalette();
    this.#parts?.overview.setPalette(this.#palette);
    this.#parts?.matrix.setPalette(this.#palette);
  }
}
