import { createButton } from '../controls.ts';
import { element, setText } from '../dom.ts';
import { onThemeChange, type Palette, readPalette } from '../theme.ts';
import { acquireApi } from '../vscodeApi.ts';
import { Columns } from './columns.ts';
import { Cursor } from './cursor.ts';
import { InspectorHost, type ProgressListener, problemOf } from './host.ts';
import { MapStore } from './mapStore.ts';
import { defaultState, restoreInspectorState } from './panelState.ts';
import type {
  InspectorInitialMessage,
  MessageFromInspector,
  MessageToInspector,
  PanelImage,
  ShowMessage,
} from './protocol/messages.ts';
import type { ModelChoice, RunSteps } from './protocol/models.ts';
import type { InspectorProblem } from './protocol/requests.ts';
import type { InspectorState, InspectorView } from './protocol/state.ts';
import { ShownImage } from './shownImage.ts';
import { Toolbar } from './toolbar.ts';
import type { ReadyColumn, View, ViewContext } from './views/view.ts';
import { createViews } from './views/viewList.ts';

/** Views tell how far they are only when it takes longer than this, in milliseconds. */
const PROGRESS_DELAY = 400;

/**
 * Another image, and what the view asks for, mostly come within this time, in milliseconds: a frame without them, which
 * would be painted just before, costs as much as the wait.
 */
const ANSWER_DELAY = 100;

/** What comes next is prepared this long after the picture, in milliseconds: painting it comes first. */
const PREPARATION_DELAY = 150;

/** How long what was done is shown, in milliseconds. */
const NOTICE_TIME = 8000;

/** Maps that the service no longer has are asked for again at most this often, in milliseconds. */
const RENEWAL_PAUSE = 10_000;

/** The inspector: keeps what the host says, asks for what the view needs, and draws it. */
export class InspectorPanel implements ViewContext {
  readonly host: InspectorHost;
  readonly cursor = new Cursor();
  readonly #stored: InspectorState | null;
  readonly #root: HTMLElement;
  readonly #image = new ShownImage(() => this.redraw());
  readonly #store: MapStore;
  /** What is wrong with the image file or the view, as long as it is. */
  readonly #problemLine = element('p', { class: 'notice-line', attributes: { role: 'alert' } });
  /** What was done or is being done; goes away by itself. */
  readonly #notice = element('div', { class: 'toast', attributes: { role: 'status' } });
  readonly #noticeText = element('span');
  readonly #cancelView = createButton({
    label: 'Cancel',
    icon: 'close',
    appearance: 'icon',
    onClick: () => this.#viewLoad?.abort(),
  });
  readonly #columns: Columns;
  readonly #columnsRoot = element('div', { class: 'columns' });
  #views: readonly View[] = [];
  #toolbar: Toolbar | null = null;
  #state: InspectorState = defaultState();
  #palette: Palette = readPalette();
  #images: readonly PanelImage[] = [];
  #models: readonly ModelChoice[] = [];
  #runs: readonly RunSteps[] = [];
  #trusted = false;
  #viewLoad: AbortController | null = null;
  #preparation: AbortController | null = null;
  /** The frame that is going to be drawn, or the time that it waits for an answer. */
  #frame: number | null = null;
  #frameDelay: ReturnType<typeof setTimeout> | null = null;
  #viewProblem = '';
  #noticeTimer: ReturnType<typeof setTimeout> | null = null;
  #renewed = Number.NEGATIVE_INFINITY;

  constructor(root: HTMLElement) {
    const api = acquireApi<MessageFromInspector, InspectorState>();
    const stored = api.getState();
    this.#stored = stored === undefined ? null : restoreInspectorState(stored);
    this.#root = root;
    this.#notice.append(this.#noticeText, this.#cancelView);
    this.host = new InspectorHost(api);
    this.#store = new MapStore(async key => {
      const { data } = await this.host.request('mapValues', { key });
      return data;
    });
    this.#columns = new Columns(this, this.#columnsRoot, this.#store);
  }

  start(): void {
    window.addEventListener('message', (event: MessageEvent<MessageToInspector>) =>
      this.#receive(event.data),
    );
    window.addEventListener('error', event => this.#report(event.message));
    window.addEventListener('unhandledrejection', event => this.#report(String(event.reason)));
    onThemeChange(() =>
      requestAnimationFrame(() => {
        this.#palette = readPalette();
        this.#columns.setPalette(this.#palette);
        this.redraw();
      }),
    );
    this.host.post({ kind: 'ready', state: this.#stored });
  }

  // ---- what views and columns may know ----

  get state(): InspectorState {
    return this.#state;
  }

  get palette(): Palette {
    return this.#palette;
  }

  get image(): CanvasImageSource | null {
    return this.#image.source;
  }

  /** Another one for each image, and for each change of its file. */
  get imageAddress(): string {
    return this.#image.source?.src ?? '';
  }

  get imageSize(): { width: number; height: number } | null {
    return this.#image.size;
  }

  get imageProblem(): { problem: string | null; gone: boolean } {
    return this.#image;
  }

  get imageName(): string {
    return this.#images[this.#state.image]?.name ?? 'image';
  }

  get models(): readonly ModelChoice[] {
    return this.#models;
  }

  get runs(): readonly RunSteps[] {
    return this.#runs;
  }

  get trusted(): boolean {
    return this.#trusted;
  }

  get columns(): readonly ReadyColumn[] {
    return this.#columns.ready;
  }

  /** The view's answers for the maps of now are on their way. */
  get isViewLoading(): boolean {
    return this.#viewLoad !== null;
  }

  get view(): View | null {
    return this.#views.find(view => view.id === this.#state.view) ?? this.#views[0] ?? null;
  }

  findView(id: InspectorView): View | undefined {
    return this.#views.find(view => view.id === id);
  }

  async loadValues(columns: readonly ReadyColumn[]): Promise<void> {
    const maps = columns.map(({ map }) => map).filter(({ values }) => values.features === null);
    if (maps.length === 0) return;
    await this.#store.load(maps, this.#columns.keysInView);
    this.redraw();
  }

  remember(change: Partial<InspectorState>): void {
    this.#state = { ...this.#state, ...change };
    this.host.remember(this.#state);
    this.#toolbar?.update(this.#state, this.#images);
    if (change.view !== undefined || change.patches !== undefined) this.#columns.updateHeaders();
    this.redraw();
  }

  redraw(): void {
    this.#stopWaiting();
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      const problems = [this.#image.problem ?? '', this.#viewProblem].filter(text => text !== '');
      setText(this.#problemLine, problems.join(' '));
      this.#problemLine.hidden = problems.length === 0;
      this.#columns.draw();
    });
  }

  /** Draws a little later, unless there is a reason to draw before. */
  #redrawLater(): void {
    this.#stopWaiting();
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#frame = null;
    this.#frameDelay = setTimeout(() => this.redraw(), ANSWER_DELAY);
  }

  #stopWaiting(): void {
    if (this.#frameDelay !== null) clearTimeout(this.#frameDelay);
    this.#frameDelay = null;
  }

  /** Fetches what the view needs for all columns that have a map; tells how far it is unless `quietly`. */
  reload(quietly = false): void {
    this.#viewLoad?.abort();
    this.#preparation?.abort();
    this.#viewLoad = null;
    this.#viewProblem = '';
    const { view, columns } = this;
    if (view === null || columns.length === 0) {
      this.#viewLoaded();
      this.redraw();
      return;
    }
    this.#redrawLater();
    const abort = new AbortController();
    this.#viewLoad = abort;
    const started = performance.now();
    this.#loadView(view, columns, abort.signal, stage => {
      const late = performance.now() - started > PROGRESS_DELAY;
      if (quietly || !late || this.#viewLoad !== abort) return;
      this.say(`${stage.charAt(0).toUpperCase()}${stage.slice(1)}…`);
      this.#cancelView.hidden = false;
    })
      .then(() => {
        if (this.#viewLoad === abort && performance.now() - started > PROGRESS_DELAY) this.say('');
      })
      .catch((error: unknown) => {
        if (this.#viewLoad !== abort) return;
        if (!this.#cancelView.hidden) this.say('');
        this.#viewFailed(problemOf(error));
      })
      .finally(() => {
        if (this.#viewLoad === abort) this.#viewLoaded();
        this.redraw();
      });
  }

  async #loadView(
    view: View,
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    if (this.#state.difference && columns.length > 1) await this.loadValues(columns);
    await view.load?.(columns, signal, progress);
  }

  #viewLoaded(): void {
    this.#viewLoad = null;
    this.#columns.followRuns(this.#runs, this.#runs);
    if (!this.#columns.isLoading) void this.#prepare();
  }

  /** Fetches what the next step of the user needs: the values of the maps, and while no run trains what views ask for. */
  async #prepare(): Promise<void> {
    const abort = new AbortController();
    this.#preparation = abort;
    await new Promise(resolve => setTimeout(resolve, PREPARATION_DELAY));
    // A problem is told when the view is looked at.
    const whole = (work: Promise<void> | undefined) => work?.catch(() => undefined);
    const isOver = (): boolean => abort.signal.aborted || this.columns.length === 0;
    if (!isOver()) await whole(this.loadValues(this.columns));
    if (this.#runs.some(({ live }) => live)) return;
    for (const view of this.#views) {
      if (isOver()) return;
      await whole(view.prepare?.(this.columns, abort.signal));
    }
    if (!isOver()) await whole(this.view?.prepareFurther?.(this.columns, abort.signal));
  }

  #viewFailed({ kind, message }: InspectorProblem): void {
    this.#viewProblem = kind === 'cancelled' ? 'Cancelled. Choose the view again to compute it.' : message;
    // The service's cache is bounded: maps that fell out of it are asked for again, but not over and over.
    const now = performance.now();
    if (kind !== 'unknownKey' || now - this.#renewed < RENEWAL_PAUSE) return;
    this.#renewed = now;
    this.#columns.loadAll();
  }

  /** Shows a line over the panel for a while; empty for none. */
  say(text: string): void {
    setText(this.#noticeText, text);
    this.#cancelView.hidden = true;
    this.#notice.hidden = text === '';
    if (this.#noticeTimer !== null) clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => {
      this.#notice.hidden = true;
    }, NOTICE_TIME);
  }

  // ---- messages ----

  #receive(message: MessageToInspector): void {
    switch (message.kind) {
      case 'initial':
        this.#begin(message);
        break;
      case 'image':
        if (message.image !== this.#state.image) break;
        this.#image.show(message);
        if (message.changed || message.gone) this.#columns.imageChanged(message.gone);
        break;
      case 'models': {
        const before = this.#runs;
        this.#models = message.models;
        this.#runs = message.runs;
        this.#columns.followRuns(before, message.runs);
        this.#columns.updateHeaders();
        break;
      }
      case 'trust':
        this.#trusted = message.trusted;
        this.#columns.loadAll();
        break;
      case 'show':
        this.#show(message);
        break;
      case 'progress':
        this.host.receiveProgress(message);
        break;
      case 'response':
        this.host.receiveResponse(message);
        break;
    }
  }

  #begin({ images, models, runs, state, trusted }: InspectorInitialMessage): void {
    this.#store.clear();
    this.cursor.clear();
    this.#images = images;
    this.#models = models;
    this.#runs = runs;
    this.#trusted = trusted;
    this.#state = restoreInspectorState(state);
    this.#state.images = images.map(({ path }) => path);
    this.#state.image = Math.min(this.#state.image, Math.max(images.length - 1, 0));
    this.host.remember(this.#state);
    this.#views = createViews(this);
    this.#toolbar = new Toolbar(this.#state, this.#views, {
      remember: change => this.remember(change),
      showView: view => this.#showView(view),
      showImage: image => this.#showImage(image),
      showDifference: difference => {
        this.remember({ difference });
        this.reload();
      },
      addColumn: () => this.#columns.add(),
    });
    this.#notice.hidden = true;
    this.#problemLine.hidden = true;
    this.#root.replaceChildren(
      this.#toolbar.root,
      this.#problemLine,
      this.#notice,
      this.#columnsRoot,
      this.#image.root,
    );
    this.#toolbar.update(this.#state, images);
    this.#columns.replace(this.#state.columns);
    this.host.post({ kind: 'showImage', image: this.#state.image });
    this.#columns.loadAll();
  }

  #show({ image, view, column, boxes }: ShowMessage): void {
    if (image !== this.#state.image) this.#showImage(image);
    if (boxes !== undefined) for (const each of this.#views) each.takeBoxes?.(boxes);
    if (view !== null) this.#showView(view);
    if (Object.keys(column).length > 0) this.#columns.change(0, column);
  }

  #showView(view: InspectorView): void {
    this.remember({ view });
    this.reload();
  }

  #showImage(image: number): void {
    const { columns } = this;
    for (const view of this.#views) view.imageLeft?.(columns);
    this.cursor.clear();
    this.#image.clear();
    this.remember({ image });
    this.host.post({ kind: 'showImage', image });
    this.#columns.imageChanged(false);
    // The next frame has the image, rather than nothing.
    this.#redrawLater();
  }

  #report(message: string): void {
    this.host.post({ kind: 'panelError', message });
  }
}
