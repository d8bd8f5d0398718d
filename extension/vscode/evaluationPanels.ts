import * as vscode from 'vscode';
import { referenceKey } from '../../webview/evaluation/protocol.ts';
import type { Disposable } from '../emitter.ts';
import { type OpenedReports, openedByPath } from '../evaluationRequest.ts';
import { parseShownReports, type ShownReports } from '../evaluationState.ts';
import { EVALUATION_EDITOR_TYPE, EVALUATION_PANEL_TYPE } from '../identifiers.ts';
import { type EvaluationHost, EvaluationPanel } from './evaluationPanel.ts';

/** A report as VS Code holds it for a custom editor; there is nothing to keep. */
class ReportDocument implements vscode.CustomDocument {
  readonly uri: vscode.Uri;

  constructor(uri: vscode.Uri) {
    this.uri = uri;
  }

  dispose(): void {}
}

const shownOf = ({ before, after, segmentation }: OpenedReports): ShownReports => ({
  ...{ before, after },
  segmentation: segmentation ?? null,
  imageFolder: null,
});

/** Panels of the same report are one: that of a segmentation where nothing else is looked at. */
const keyOf = ({ after, segmentation }: ShownReports): string =>
  after === null ? `segmentation:${segmentation}` : referenceKey(after);

/** The evaluation panels of this window: opened by the command, by “Reopen With…”, or by VS Code after a reload. */
export class EvaluationPanels implements Disposable {
  readonly #host: EvaluationHost;
  readonly #open = new Set<EvaluationPanel>();
  readonly #registrations: vscode.Disposable;

  constructor(host: EvaluationHost) {
    this.#host = host;
    this.#registrations = vscode.Disposable.from(
      vscode.window.registerWebviewPanelSerializer(EVALUATION_PANEL_TYPE, {
        deserializeWebviewPanel: async (panel, state) => {
          const shown = parseShownReports(state);
          if (shown === null) panel.dispose();
          else this.#adopt(panel, shown, false);
        },
      }),
      vscode.window.registerCustomEditorProvider(EVALUATION_EDITOR_TYPE, {
        openCustomDocument: uri => new ReportDocument(uri),
        resolveCustomEditor: (document, panel) => this.#resolve(document.uri, panel),
      }),
    );
  }

  /**
   * Shows a report in the panel that shows it already, or in a new one.
   *
   * @returns Its path; null where the run has none yet.
   */
  show(reports: OpenedReports): Promise<string | null> {
    const asked = shownOf(reports);
    const open = [...this.#open].find(({ shown }) => keyOf(shown) === keyOf(asked));
    if (open !== undefined) {
      open.reveal();
      return open.reportInView();
    }
    const column = { viewColumn: vscode.ViewColumn.Active, preserveFocus: false };
    const panel = vscode.window.createWebviewPanel(EVALUATION_PANEL_TYPE, 'Evaluation', column);
    return this.#adopt(panel, asked, false).reportInView();
  }

  async #resolve(uri: vscode.Uri, panel: vscode.WebviewPanel): Promise<void> {
    if (uri.scheme !== 'file') throw new Error('Evaluations are read from files on this machine only.');
    this.#adopt(panel, shownOf(await openedByPath(uri.fsPath)), true);
  }

  #adopt(panel: vscode.WebviewPanel, shown: ShownReports, isEditor: boolean): EvaluationPanel {
    const adopted = new EvaluationPanel(panel, shown, this.#host, isEditor);
    this.#open.add(adopted);
    adopted.onDidClose(() => this.#open.delete(adopted));
    return adopted;
  }

  dispose(): void {
    this.#registrations.dispose();
    for (const panel of [...this.#open]) panel.dispose();
  }
}
