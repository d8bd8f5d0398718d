import type { Columns } from './columns.ts';
import { problemOf } from './host.ts';
import type { InspectorPanel } from './panel.ts';
import type { InspectorProblem } from './protocol/requests.ts';
import type { ReadyColumn, View } from './views/view.ts';

/** Views tell how far they are only when it takes longer than this, in milliseconds. */
const PROGRESS_DELAY = 400;

/** What comes next is prepared this long after the picture, in milliseconds: painting it comes first. */
const PREPARATION_DELAY = 150;

/** Maps that the service no longer has are asked for again at most this often, in milliseconds. */
const RENEWAL_PAUSE = 10_000;

/** Asks for what the view needs beyond the maps, and then for what the next step of the user will need. */
export class ViewLoading {
  readonly #panel: InspectorPanel;
  readonly #columns: Columns;
  #load: AbortController | null = null;
  #preparation: AbortController | null = null;
  #problem = '';
  #renewed = Number.NEGATIVE_INFINITY;

  constructor(panel: InspectorPanel, columns: Columns) {
    this.#panel = panel;
    this.#columns = columns;
  }

  /** The view's answers for the maps of now are on their way. */
  get isBusy(): boolean {
    return this.#load !== null;
  }

  /** Why the view could not be loaded; empty where it could. */
  get problem(): string {
    return this.#problem;
  }

  /** The user gives up what is being computed. */
  cancel(): void {
    this.#load?.abort();
  }

  /** Fetches what the view needs for all columns that have a map; tells how far it is unless `quietly`. */
  start(quietly: boolean): void {
    this.#load?.abort();
    this.#preparation?.abort();
    this.#load = null;
    this.#problem = '';
    const panel = this.#panel;
    const { view, columns } = panel;
    if (view === null || columns.length === 0) {
      this.#loaded();
      panel.redraw();
      return;
    }
    panel.redrawLater();
    const abort = new AbortController();
    this.#load = abort;
    const isLate = lateness();
    this.#loadView(view, columns, abort.signal, stage => {
      if (!quietly && isLate() && this.#load === abort) panel.sayProgress(stage);
    })
      .catch((error: unknown) => {
        if (this.#load === abort) this.#failed(problemOf(error));
      })
      .finally(() => {
        if (this.#load === abort) this.#loaded();
        panel.redraw();
      });
  }

  async #loadView(
    view: View,
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: (stage: string) => void,
  ): Promise<void> {
    if (this.#panel.state.difference && columns.length > 1) await this.#panel.loadValues(columns);
    await view.load?.(columns, signal, progress);
  }

  #loaded(): void {
    this.#load = null;
    this.#panel.sayProgress(null);
    const { runs } = this.#panel;
    this.#columns.followRuns(runs, runs);
    if (!this.#columns.isLoading) void this.#prepare();
  }

  /** Fetches what the next step of the user needs: the values of the maps, and while no run trains what views ask for. */
  async #prepare(): Promise<void> {
    const panel = this.#panel;
    const abort = new AbortController();
    this.#preparation = abort;
    await new Promise(resolve => setTimeout(resolve, PREPARATION_DELAY));
    // A problem is told when the view is looked at.
    const whole = (work: Promise<void> | undefined) => work?.catch(() => undefined);
    const isOver = (): boolean => abort.signal.aborted || panel.columns.length === 0;
    if (!isOver()) await whole(panel.loadValues(panel.columns));
    if (panel.runs.some(({ live }) => live)) return;
    for (const view of panel.views) {
      if (isOver()) return;
      await whole(view.prepare?.(panel.columns, abort.signal));
    }
    if (!isOver()) await whole(panel.view?.prepareFurther?.(panel.columns, abort.signal));
  }

  #failed({ kind, message }: InspectorProblem): void {
    this.#problem = kind === 'cancelled' ? 'Cancelled. Choose the view again to compute it.' : message;
    // The service's cache is bounded: maps that fell out of it are asked for again, but not over and over.
    const now = performance.now();
    if (kind !== 'unknownKey' || now - this.#renewed < RENEWAL_PAUSE) return;
    this.#renewed = now;
    this.#columns.loadAll();
  }
}

/** Tells whether a load that begins now takes long enough to speak of it. */
function lateness(): () => boolean {
  const started = performance.now();
  return () => performance.now() - started > PROGRESS_DELAY;
}
