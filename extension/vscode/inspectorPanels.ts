import * as vscode from 'vscode';
import type { Disposable } from '../emitter.ts';
import { INSPECTOR_EDITOR_TYPE, INSPECTOR_PANEL_TYPE } from '../identifiers.ts';
import { type InspectorWishes, parseState } from '../inspectorState.ts';
import { dressPanel, type InspectorHost, InspectorPanel } from './inspectorPanel.ts';

/** An image as VS Code holds it for a custom editor; there is nothing to keep. */
class ImageDocument implements vscode.CustomDocument {
  readonly uri: vscode.Uri;

  constructor(uri: vscode.Uri) {
    this.uri = uri;
  }

  dispose(): void {}
}

/**
 * The inspector panels of this window, however they were opened: by the command (several images share one panel and its
 * image switcher, because they are there to be compared), by “Reopen With…”, or by VS Code after a reload.
 */
export class InspectorPanels implements Disposable {
  readonly #host: InspectorHost;
  readonly #open = new Set<InspectorPanel>();
  readonly #registrations: vscode.Disposable;

  constructor(host: InspectorHost) {
    this.#host = host;
    this.#registrations = vscode.Disposable.from(
      vscode.window.registerWebviewPanelSerializer(INSPECTOR_PANEL_TYPE, {
        deserializeWebviewPanel: async (panel, state) => this.#restore(panel, state),
      }),
      vscode.window.registerCustomEditorProvider(INSPECTOR_EDITOR_TYPE, {
        openCustomDocument: uri => new ImageDocument(uri),
        resolveCustomEditor: (document, panel) => this.#resolve(document.uri, panel),
      }),
    );
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** Shows images in a panel that has them all, or in a new one. */
  show(
    images: readonly string[],
    wishes: InspectorWishes,
    viewColumn: vscode.ViewColumn = vscode.ViewColumn.Active,
  ): void {
    const open = [...this.#open].find(panel => images.every(image => panel.images.includes(image)));
    if (open !== undefined) {
      open.show(images[0]!, wishes);
      return;
    }
    const column = { viewColumn, preserveFocus: false };
    const panel = vscode.window.createWebviewPanel(INSPECTOR_PANEL_TYPE, 'Dense Features', column);
    dressPanel(panel, images, this.#host.extensionUri);
    this.#adopt(panel, images, wishes);
  }

  #restore(panel: vscode.WebviewPanel, state: unknown): void {
    const { images } = parseState(state, this.#host.defaults());
    if (images.length === 0) {
      panel.dispose();
      return;
    }
    dressPanel(panel, images, this.#host.extensionUri);
    this.#adopt(panel, images, {});
  }

  #resolve(uri: vscode.Uri, panel: vscode.WebviewPanel): void {
    if (uri.scheme !== 'file')
      throw new Error('Dense features are read from image files on this machine only.');
    this.#adopt(panel, [uri.fsPath], {});
  }

  #adopt(panel: vscode.WebviewPanel, images: readonly string[], wishes: InspectorWishes): void {
    const adopted = new InspectorPanel(panel, images, wishes, this.#host);
    this.#open.add(adopted);
    adopted.onDidClose(() => this.#open.delete(adopted));
  }

  dispose(): void {
    this.#registrations.dispose();
    for (const panel of [...this.#open]) panel.dispose();
  }
}
