import { createButton } from '../controls.ts';
import { element, setText } from '../dom.ts';
import { listenToPanel } from '../panelEvents.ts';
import { type Palette, readPalette } from '../theme.ts';
import { Toast } from '../toast.ts';
import { acquireApi } from '../vscodeApi.ts';
import { Columns } from './columns.ts';
import { Cursor } from './cursor.ts';
import { InspectorHost } from './host.ts';
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
import type { InspectorState, InspectorView } from './protocol/state.ts';
import { Redrawing } from './redrawing.ts';
import { ShownImage } from './shownImage.ts';
import { Toolbar } from './toolbar.ts';
import { ViewLoading } from './viewLoading.ts';
import type { ReadyColumn, View, ViewContext } from './views/view.ts';
import { createViews } from './views/viewList.ts';

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
  readonly #cancelView = createButton({
    label: 'Cancel',
    icon: 'close',
    appearance: 'icon',
    onClick: () => this.#viewLoading.cancel(),
  });
  readonly #toast = new Toast(this.#cancelView);
  readonly #redrawing = new Redrawing(() => this.#draw());
  readonly #viewLoading: ViewLoading;
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

  constructor(root: HTMLElement) {
    const api = acquireApi<MessageFromInspector, InspectorState>();
    const stored = api.getState();
    this.#stored = stored === undefined ? null : restoreInspectorState(stored);
    this.#root = root;
    this.host = new InspectorHost(api);
    this.#store = new MapStore(async key => {
      const { data } = await this.host.request('mapValues', { key });
      return data;
    });
    this.#columns = new Columns(this, this.#columnsRoot, this.#store);
    this.#viewLoading = new ViewLoading(this, this.#columns);
  }

  start(): void {
    listenToPanel<MessageToInspector>({
      received: message => this.#receive(message),
      recoloured: () => {
        this.#palette = readPalette();
        this.#columns.setPalette(this.#palette);
        this.redraw();
      },
      failed: message => this.host.post({ kind: 'panelError', message }),
    });
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
    return this.#viewLoading.isBusy;
  }

  get views(): readonly View[] {
    return this.#views;
  }

  get view(): View | null {
    return this.#views.find(view => view.id === this.#state.view) ?? this.#views[0] ?? null;
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
    this.#redrawing.soon();
  }

  /** Draws a little later, unless there is a reason to draw before. */
  redrawLater(): void {
    this.#redrawing.later();
  }

  #draw(): void {
    const problems = [this.#image.problem ?? '', this.#viewLoading.problem].filter(text => text !== '');
    setText(this.#problemLine, problems.join(' '));
    this.#problemLine.hidden = problems.length === 0;
    this.#columns.draw();
  }

  /** Fetches what the view needs for all columns that have a map; tells how far it is unless `quietly`. */
  reload(quietly = false): void {
    this.#viewLoading.start(quietly);
  }

  /** Shows a line over the panel for a while; empty for none. */
  say(text: string): void {
    this.#cancelView.hidden = true;
    this.#toast.say(text);
  }

  /** Says how far the view is, with a way to give it up; null when it is no longer on its way. */
  sayProgress(stage: string | null): void {
    if (stage !== null) {
      this.say(`${stage.charAt(0).toUpperCase()}${stage.slice(1)}…`);
      this.#cancelView.hidden = false;
    } else if (!this.#cancelView.hidden) this.say('');
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
    this.#toast.hide();
    this.#problemLine.hidden = true;
    this.#root.replaceChildren(
      this.#toolbar.root,
      this.#problemLine,
      this.#toast.root,
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
    this.redrawLater();
  }
}
