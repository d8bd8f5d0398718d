import { shortNames } from '../trainer/compare/shortNames.ts';
import type {
  MessageFromInspector,
  MessageToInspector,
  RequestMessageOf,
} from '../webview/inspector/protocol/messages.ts';
import type { InspectorMethod, InspectorProblem } from '../webview/inspector/protocol/requests.ts';
import type { InspectorState } from '../webview/inspector/protocol/state.ts';
import type { Disposable } from './emitter.ts';
import type { Look } from './inspectorCommandLine.ts';
import { type InspectorDialogues, InspectorHandlers } from './inspectorHandlers.ts';
import { ImageWatch, readImageContent } from './inspectorImages.ts';
import type { InspectorModels } from './inspectorModels.ts';
import { InspectorError, problemOf } from './inspectorProblems.ts';
import type { InspectorService } from './inspectorService.ts';
import {
  defaultState,
  type InspectorDefaults,
  type InspectorWishes,
  parseState,
  rememberedPart,
  withWishes,
} from './inspectorState.ts';
import { PanelDocument } from './panelDocument.ts';

/** What a panel's model needs of its surroundings. */
export interface InspectorSurroundings {
  post(message: MessageToInspector): void;
  isTrusted(): boolean;
  /** Whether this image may be read: a panel's state can name files outside an untrusted workspace. */
  mayReadImage(file: string): boolean;
  service: Pick<InspectorService, 'request'>;
  models: Pick<InspectorModels, 'list' | 'refresh' | 'onDidChange' | 'referenceOf'>;
  dialogues: InspectorDialogues;
  defaults(): InspectorDefaults;
  /** What the workspace remembers of the last panel, unchecked. */
  remembered(): unknown;
  remember(state: InspectorState): void;
  reportError(message: string): void;
}

/**
 * What one inspector panel shows: turns its messages into requests and what happens to images, models and runs into
 * messages. Nothing is posted before the panel has said that it listens, nor while it is hidden.
 */
export class InspectorPanelModel implements Disposable {
  readonly images: readonly string[];
  readonly #surroundings: InspectorSurroundings;
  readonly #handlers: InspectorHandlers;
  readonly #document: PanelDocument<MessageToInspector, InspectorProblem>;
  readonly #subscription: Disposable;
  #wishes: InspectorWishes;
  /** Image that the command asked for and the panel has not shown yet. */
  #imageWished: number | null = null;
  #imageInView = 0;
  #look: Look;
  #watch: ImageWatch | null = null;

  constructor(images: readonly string[], wishes: InspectorWishes, surroundings: InspectorSurroundings) {
    this.images = images;
    this.#wishes = wishes;
    this.#surroundings = surroundings;
    this.#document = new PanelDocument(message => surroundings.post(message), problemOf);
    this.#look = defaultState(surroundings.defaults());
    const { service, models, dialogues } = surroundings;
    this.#handlers = new InspectorHandlers({
      service,
      models,
      dialogues,
      imageAt: index => this.#imageAt(index),
      imageInView: () => this.#imageInView,
      look: () => this.#look,
    });
    this.#subscription = models.onDidChange(list => this.#document.post({ kind: 'models', ...list }));
  }

  receive(message: MessageFromInspector): void {
    switch (message.kind) {
      case 'ready':
        this.#ready(message.state);
        break;
      case 'showImage':
        void this.#showImage(message.image);
        break;
      case 'request':
        void this.#answer(message);
        break;
      case 'cancel':
        this.#document.cancel(message.id);
        break;
      case 'stateChanged':
        this.#remember(message.state);
        break;
      case 'panelError':
        this.#surroundings.reportError(`inspector panel: ${message.message}`);
        break;
    }
  }

  /** The command was called again: shows one of the images, with what was asked for. */
  show(image: number, wishes: InspectorWishes): void {
    const { source, size, view, boxes } = wishes;
    const column = { ...(source === undefined ? {} : { source }), ...(size === undefined ? {} : { size }) };
    if (this.#document.listens) {
      this.#document.post({
        ...{ kind: 'show', image, view: view ?? null, column },
        ...(boxes === undefined ? {} : { boxes }),
      });
    } else {
      this.#imageWished = image;
      this.#wishes = { ...this.#wishes, ...wishes };
    }
  }

  trustChanged(): void {
    this.#document.post({ kind: 'trust', trusted: this.#surroundings.isTrusted() });
    if (this.#document.listens) void this.#showImage(this.#imageInView);
  }

  /** The panel's document is gone until it says `ready` again. */
  hidden(): void {
    this.#document.gone();
    this.#watch?.dispose();
    this.#watch = null;
  }

  #ready(stored: InspectorState | null): void {
    this.hidden();
    this.#document.opened();
    const { defaults, isTrusted, models, remembered } = this.#surroundings;
    const before = parseState(stored ?? remembered(), defaults());
    const imageBefore = stored === null ? 0 : before.image;
    const image = Math.min(this.#imageWished ?? imageBefore, this.images.length - 1);
    const state = withWishes({ ...before, images: [...this.images], image }, this.#wishes);
    const { boxes } = this.#wishes;
    // What was asked for counts once; from then on the panel's own state does.
    this.#wishes = {};
    this.#imageWished = null;
    this.#look = state;
    const names = shortNames(this.images);
    this.#document.post({
      kind: 'initial',
      images: this.images.map((file, index) => ({ path: file, name: names[index]! })),
      ...models.list,
      state,
      trusted: isTrusted(),
    });
    if (boxes !== undefined) this.#document.post({ kind: 'show', image, view: null, column: {}, boxes });
    void models.refresh();
  }

  async #showImage(index: number): Promise<void> {
    const file = this.images[index];
    if (file === undefined || !this.#document.listens) return;
    this.#imageInView = index;
    this.#watch?.dispose();
    this.#watch = null;
    if (!this.#surroundings.mayReadImage(file)) {
      const problem = 'The image lies outside this workspace, which is in Restricted Mode.';
      this.#document.post({
        kind: 'image',
        image: index,
        changed: false,
        type: null,
        bytes: null,
        problem,
        gone: false,
      });
      return;
    }
    this.#watch = new ImageWatch(file, () => void this.#postImage(index, true));
    await this.#postImage(index, false);
  }

  async #postImage(index: number, changed: boolean): Promise<void> {
    const { serial } = this.#document;
    const content = await readImageContent(this.images[index]!);
    if (serial === this.#document.serial)
      this.#document.post({ kind: 'image', image: index, changed, ...content });
  }

  #answer<Method extends InspectorMethod>({ id, method, query }: RequestMessageOf<Method>): Promise<void> {
    return this.#document.answer(id, ({ signal, progress }) => {
      this.#requireTrust();
      return this.#handlers.answer(method, query, {
        signal,
        progress: ({ stage, fraction }) => progress(stage, fraction),
      });
    });
  }

  #remember(stored: unknown): void {
    const state = parseState(stored, this.#surroundings.defaults());
    this.#look = state;
    this.#surroundings.remember(rememberedPart(state));
  }

  #requireTrust(): void {
    if (this.#surroundings.isTrusted()) return;
    const advice = 'Run “Workspaces: Manage Workspace Trust”.';
    throw new InspectorError(
      'trust',
      `Models run as a program on this machine and need a trusted workspace. ${advice}`,
    );
  }

  #imageAt(index: number): string {
    const file = this.images[index];
    if (file === undefined) throw new InspectorError('other', `This panel has no image ${index}.`);
    return file;
  }

  dispose(): void {
    this.hidden();
    this.#document.dispose();
    this.#subscription.dispose();
  }
}
