import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import type { MessageFromEvaluation } from '../../webview/evaluation/protocol.ts';
import { isInside } from '../candidates.ts';
import { type Disposable, Emitter } from '../emitter.ts';
import type { EvaluationDialogues } from '../evaluationHandlers.ts';
import { EvaluationPanelModel } from '../evaluationPanelModel.ts';
import type { ShownReports } from '../evaluationState.ts';
import { evaluationHtml } from '../webviewDocument.ts';
import { workspaceFolders } from './settings.ts';

/** What panels ask of the extension. */
export interface EvaluationHost {
  extensionUri: vscode.Uri;
  runs(): readonly Pick<RunSummary, 'directory' | 'name'>[];
  dialogues: EvaluationDialogues;
  reportError(message: string): void;
}

/** One evaluation panel, opened by the command or as an editor of a report. */
export class EvaluationPanel implements Disposable {
  readonly #panel: vscode.WebviewPanel;
  readonly #extensionUri: vscode.Uri;
  readonly #model: EvaluationPanelModel;
  readonly #subscriptions: vscode.Disposable[] = [];
  readonly #closed = new Emitter<void>();

  readonly onDidClose = this.#closed.event;

  constructor(panel: vscode.WebviewPanel, shown: ShownReports, host: EvaluationHost, keepsTitle: boolean) {
    this.#panel = panel;
    this.#extensionUri = host.extensionUri;
    const { webview } = panel;
    webview.options = { enableScripts: true, localResourceRoots: [this.#webviewFolder()] };
    if (!keepsTitle) {
      panel.iconPath = {
        light: vscode.Uri.joinPath(host.extensionUri, 'media', 'icons', 'panel-light.svg'),
        dark: vscode.Uri.joinPath(host.extensionUri, 'media', 'icons', 'panel-dark.svg'),
      };
    }
    this.#model = new EvaluationPanelModel(shown, {
      post: message => void webview.postMessage(message),
      mayReadImage: file =>
        vscode.workspace.isTrusted || workspaceFolders().some(root => isInside(file, root)),
      runs: host.runs,
      dialogues: host.dialogues,
      titleChanged: title => {
        if (!keepsTitle) panel.title = title === '' ? 'Evaluation' : `Evaluation: ${title}`;
      },
      reportError: host.reportError,
    });
    webview.onDidReceiveMessage(
      (message: MessageFromEvaluation) => this.#model.receive(message),
      null,
      this.#subscriptions,
    );
    panel.onDidChangeViewState(this.#viewStateChanged, this, this.#subscriptions);
    panel.onDidDispose(this.#disposed, this, this.#subscriptions);
    webview.html = this.#html();
  }

  /** What the panel shows now; the user may have picked other reports since it was opened. */
  get shown(): ShownReports {
    return this.#model.shown;
  }

  reveal(): void {
    this.#panel.reveal(undefined, false);
  }

  reportInView(): Promise<string | null> {
    return this.#model.reportInView();
  }

  #webviewFolder(): vscode.Uri {
    return vscode.Uri.joinPath(this.#extensionUri, 'dist', 'webview');
  }

  #html(): string {
    const { webview } = this.#panel;
    const file = (name: string) =>
      webview.asWebviewUri(vscode.Uri.joinPath(this.#webviewFolder(), name)).toString();
    return evaluationHtml({
      nonce: randomBytes(16).toString('hex'),
      cspSource: webview.cspSource,
      scriptUri: file('evaluation.js'),
      styleUri: file('evaluation.css'),
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
