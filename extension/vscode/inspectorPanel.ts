import { randomBytes } from 'node:crypto';
import path from 'node:path';
import * as vscode from 'vscode';
import type { MessageFromInspector } from '../../webview/inspector/protocol/messages.ts';
import { isInside } from '../candidates.ts';
import { type Disposable, Emitter } from '../emitter.ts';
import { InspectorPanelModel, type InspectorSurroundings } from '../inspectorPanelModel.ts';
import type { InspectorWishes } from '../inspectorState.ts';
import { inspectorHtml } from '../webviewDocument.ts';
import { workspaceFolders } from './settings.ts';

/** What panels ask of the extension. */
export type InspectorHost = { extensionUri: vscode.Uri } & Omit<
  InspectorSurroundings,
  'post' | 'isTrusted' | 'mayReadImage'
>;

/** One inspector panel, opened by the command or as an editor of an image. */
export class InspectorPanel implements Disposable {
  readonly images: readonly string[];
  readonly #panel: vscode.WebviewPanel;
  readonly #extensionUri: vscode.Uri;
  readonly #model: InspectorPanelModel;
  readonly #subscriptions: vscode.Disposable[] = [];
  readonly #closed = new Emitter<void>();

  readonly onDidClose = this.#closed.event;

  constructor(
    panel: vscode.WebviewPanel,
    images: readonly string[],
    wishes: InspectorWishes,
    host: InspectorHost,
  ) {
    this.images = images;
    this.#panel = panel;
    this.#extensionUri = host.extensionUri;
    const folder = this.#webviewFolder();
    panel.webview.options = { enableScripts: true, localResourceRoots: [folder] };
    this.#model = new InspectorPanelModel(images, wishes, {
      ...host,
      post: message => void panel.webview.postMessage(message),
      isTrusted: () => vscode.workspace.isTrusted,
      mayReadImage: file =>
        vscode.workspace.isTrusted || workspaceFolders().some(root => isInside(file, root)),
    });
    panel.webview.onDidReceiveMessage(
      (message: MessageFromInspector) => this.#model.receive(message),
      null,
      this.#subscriptions,
    );
    panel.onDidChangeViewState(this.#viewStateChanged, this, this.#subscriptions);
    panel.onDidDispose(this.#disposed, this, this.#subscriptions);
    vscode.workspace.onDidGrantWorkspaceTrust(() => this.#model.trustChanged(), null, this.#subscriptions);
    panel.webview.html = this.#html();
  }

  /** Brings the panel to the front and shows one of its images. */
  show(image: string, wishes: InspectorWishes): void {
    this.#model.show(Math.max(0, this.images.indexOf(image)), wishes);
    this.#panel.reveal(undefined, false);
  }

  #webviewFolder(): vscode.Uri {
    return vscode.Uri.joinPath(this.#extensionUri, 'dist', 'webview');
  }

  #html(): string {
    const { webview } = this.#panel;
    const file = (name: string) =>
      webview.asWebviewUri(vscode.Uri.joinPath(this.#webviewFolder(), name)).toString();
    return inspectorHtml({
      nonce: randomBytes(16).toString('hex'),
      cspSource: webview.cspSource,
      scriptUri: file('inspector.js'),
      styleUri: file('inspector.css'),
    });
  }

  #viewStateChanged(): void {
    // A hidden panel's document is gone; it says `ready` when it is shown again.
    if (!this.#panel.visible) this.#model.hidden();
  }

  #disposed(): void {
    this.dispose();
    this.#closed.fire();
  }

  /** Stops answering. The panel itself stays: VS Code restores it when the extension is back. */
  dispose(): void {
    this.#model.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }
}

/** What the tab of a panel says and shows. */
export function dressPanel(
  panel: vscode.WebviewPanel,
  images: readonly string[],
  extensionUri: vscode.Uri,
): void {
  const name = path.basename(images[0] ?? '');
  const others = images.length > 1 ? ` and ${images.length - 1} more` : '';
  panel.title = `Dense Features: ${name}${others}`;
  panel.iconPath = {
    light: vscode.Uri.joinPath(extensionUri, 'media', 'icons', 'panel-light.svg'),
    dark: vscode.Uri.joinPath(extensionUri, 'media', 'icons', 'panel-dark.svg'),
  };
}
