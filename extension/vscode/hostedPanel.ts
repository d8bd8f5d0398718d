import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { type Disposable, Emitter } from '../emitter.ts';
import { type PanelPage, panelHtml } from '../webviewDocument.ts';

/** What a panel shows, without VS Code. */
export interface PanelModel<Message> extends Disposable {
  receive(message: Message): void;
  /** The panel's document is gone until it says that it listens again. */
  hidden(): void;
}

/** A webview panel whose document one script of ours draws, and the model that answers it. */
export class HostedPanel<Message, Model extends PanelModel<Message>> implements Disposable {
  readonly model: Model;
  readonly #panel: vscode.WebviewPanel;
  readonly #subscriptions: vscode.Disposable[] = [];
  readonly #closed = new Emitter<void>();

  readonly onDidClose = this.#closed.event;

  /**
   * @param page Name of script, style and element, and the document's title.
   * @param createModel Makes the model; it posts to the panel by what it is given.
   */
  constructor(
    panel: vscode.WebviewPanel,
    extensionUri: vscode.Uri,
    page: PanelPage,
    createModel: (post: (message: unknown) => void) => Model,
  ) {
    this.#panel = panel;
    const { webview } = panel;
    const folder = vscode.Uri.joinPath(extensionUri, 'dist', 'webview');
    webview.options = { enableScripts: true, localResourceRoots: [folder] };
    this.model = createModel(message => void webview.postMessage(message));
    webview.onDidReceiveMessage((message: Message) => this.model.receive(message), null, this.#subscriptions);
    panel.onDidChangeViewState(this.#viewStateChanged, this, this.#subscriptions);
    panel.onDidDispose(this.#disposed, this, this.#subscriptions);
    const file = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(folder, name)).toString();
    webview.html = panelHtml(page, {
      nonce: randomBytes(16).toString('hex'),
      cspSource: webview.cspSource,
      scriptUri: file(`${page.name}.js`),
      styleUri: file(`${page.name}.css`),
    });
  }

  /** What ends with the panel. */
  keep(subscription: vscode.Disposable): void {
    this.#subscriptions.push(subscription);
  }

  reveal(): void {
    this.#panel.reveal(undefined, false);
  }

  #viewStateChanged(): void {
    // A hidden panel's document is gone; it says `ready` when it is shown again.
    if (!this.#panel.visible) this.model.hidden();
  }

  #disposed(): void {
    this.dispose();
    this.#closed.fire();
  }

  /** Stops answering. The panel itself stays: VS Code restores it when the extension is back. */
  dispose(): void {
    this.model.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }
}

/** Gives the tab of a panel the project's symbol. */
export function setPanelIcon(panel: vscode.WebviewPanel, extensionUri: vscode.Uri): void {
  panel.iconPath = {
    light: vscode.Uri.joinPath(extensionUri, 'media', 'icons', 'panel-light.svg'),
    dark: vscode.Uri.joinPath(extensionUri, 'media', 'icons', 'panel-dark.svg'),
  };
}
