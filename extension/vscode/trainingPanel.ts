import { randomBytes } from 'node:crypto';
import path from 'node:path';
import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import type { MessageFromPanel, MessageToPanel, PanelCommand } from '../../webview/training/protocol.ts';
import { isInside } from '../candidates.ts';
import { type Disposable, Emitter } from '../emitter.ts';
import { TRAINING_PANEL_TYPE } from '../identifiers.ts';
import { trainingPanelHtml, unreadableRunHtml } from '../trainingPanelHtml.ts';
import { TrainingPanelModel } from '../trainingPanelModel.ts';
import { workspaceFolders } from './settings.ts';

/** What panels ask of the extension. */
export interface PanelHost {
  extensionUri: vscode.Uri;
  /** Carries out a button; rejects with a sentence for the user. */
  execute(command: PanelCommand, directory: string): Promise<void>;
  reportError(message: string): void;
}

/** The panel of one run. */
export class TrainingPanel implements Disposable {
  readonly directory: string;
  readonly #panel: vscode.WebviewPanel;
  readonly #host: PanelHost;
  readonly #model: TrainingPanelModel;
  readonly #subscriptions: vscode.Disposable[] = [];
  readonly #closed = new Emitter<void>();
  readonly #focusChanged = new Emitter<void>();

  readonly onDidClose = this.#closed.event;
  /** The panel gained or lost the focus, or the state of its run changed. */
  readonly onDidChangeFocus = this.#focusChanged.event;

  constructor(panel: vscode.WebviewPanel, directory: string, host: PanelHost) {
    this.directory = directory;
    this.#panel = panel;
    this.#host = host;
    panel.title = `CLIPSelf: ${path.basename(directory)}`;
    panel.iconPath = {
      light: vscode.Uri.joinPath(host.extensionUri, 'media', 'icons', 'panel-light.svg'),
      dark: vscode.Uri.joinPath(host.extensionUri, 'media', 'icons', 'panel-dark.svg'),
    };
    panel.webview.options = { enableScripts: true, localResourceRoots: [webviewFolder(host.extensionUri)] };
    this.#model = this.#createModel();
    panel.webview.onDidReceiveMessage(this.#receive, this, this.#subscriptions);
    panel.onDidChangeViewState(this.#viewStateChanged, this, this.#subscriptions);
    panel.onDidDispose(this.#disposed, this, this.#subscriptions);
    vscode.workspace.onDidGrantWorkspaceTrust(() => this.#model.trustChanged(), null, this.#subscriptions);
    panel.webview.html = this.#html();
  }

  get isActive(): boolean {
    return this.#panel.active;
  }

  get summary(): RunSummary | null {
    return this.#model.summary;
  }

  reveal(): void {
    this.#panel.reveal(undefined, false);
  }

  #createModel(): TrainingPanelModel {
    return new TrainingPanelModel(this.directory, {
      post: message => this.#post(message),
      canTrain: () => vscode.workspace.isTrusted,
      mayReadImage: file =>
        vscode.workspace.isTrusted || workspaceFolders().some(root => isInside(file, root)),
      readable: problem => {
        this.#model.hidden();
        this.#panel.webview.html =
          problem === null ? this.#html() : unreadableRunHtml(this.directory, problem);
      },
      summaryChanged: () => this.#focusChanged.fire(),
    });
  }

  #html(): string {
    const { webview } = this.#panel;
    const file = (name: string) =>
      webview.asWebviewUri(vscode.Uri.joinPath(webviewFolder(this.#host.extensionUri), name)).toString();
    return trainingPanelHtml({
      nonce: randomBytes(16).toString('hex'),
      cspSource: webview.cspSource,
      scriptUri: file('training.js'),
      styleUri: file('training.css'),
      directory: this.directory,
    });
  }

  #post(message: MessageToPanel): void {
    void this.#panel.webview.postMessage(message);
  }

  async #receive(message: MessageFromPanel): Promise<void> {
    switch (message.kind) {
      case 'ready':
        await this.#model.ready();
        break;
      case 'command':
        await this.#execute(message.command);
        break;
      case 'panelError':
        this.#host.reportError(`training panel: ${message.message}`);
        break;
    }
  }

  async #execute(command: PanelCommand): Promise<void> {
    let problem: string | null = null;
    try {
      await this.#host.execute(command, this.directory);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    this.#post({ kind: 'commandDone', command, problem });
  }

  #viewStateChanged(): void {
    // A hidden panel's document is gone; it says `ready` when it is shown again.
    if (!this.#panel.visible) this.#model.hidden();
    this.#focusChanged.fire();
  }

  #disposed(): void {
    this.dispose();
    this.#closed.fire();
  }

  /** Stops following the run. The panel itself stays: VS Code restores it when the extension is back. */
  dispose(): void {
    this.#model.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }
}

function webviewFolder(extensionUri: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(extensionUri, 'dist', 'webview');
}

/** Opens an empty panel beside the active editor. */
export function createPanel(): vscode.WebviewPanel {
  const column = { viewColumn: vscode.ViewColumn.Active, preserveFocus: false };
  return vscode.window.createWebviewPanel(TRAINING_PANEL_TYPE, 'CLIPSelf', column);
}
