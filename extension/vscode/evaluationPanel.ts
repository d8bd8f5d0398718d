import * as vscode from 'vscode';
import type { RunSummary } from '../../trainer/protocol.ts';
import type { MessageFromEvaluation } from '../../webview/evaluation/protocol.ts';
import { isInside } from '../candidates.ts';
import type { EvaluationDialogues } from '../evaluationHandlers.ts';
import { EvaluationPanelModel } from '../evaluationPanelModel.ts';
import type { ShownReports } from '../evaluationState.ts';
import { HostedPanel, setPanelIcon } from './hostedPanel.ts';
import { workspaceFolders } from './settings.ts';

/** What panels ask of the extension. */
export interface EvaluationHost {
  extensionUri: vscode.Uri;
  runs(): readonly Pick<RunSummary, 'directory' | 'name'>[];
  dialogues: EvaluationDialogues;
  reportError(message: string): void;
}

/** One evaluation panel, opened by the command or as an editor of a report. */
export class EvaluationPanel extends HostedPanel<MessageFromEvaluation, EvaluationPanelModel> {
  constructor(panel: vscode.WebviewPanel, shown: ShownReports, host: EvaluationHost, keepsTitle: boolean) {
    if (!keepsTitle) setPanelIcon(panel, host.extensionUri);
    const page = { name: 'evaluation', title: 'CLIPSelf evaluation' } as const;
    const createModel = (post: (message: unknown) => void): EvaluationPanelModel =>
      new EvaluationPanelModel(shown, {
        post,
        mayReadImage: file =>
          vscode.workspace.isTrusted || workspaceFolders().some(root => isInside(file, root)),
        runs: host.runs,
        dialogues: host.dialogues,
        titleChanged: title => {
          if (!keepsTitle) panel.title = title === '' ? 'Evaluation' : `Evaluation: ${title}`;
        },
        reportError: host.reportError,
      });
    super(panel, host.extensionUri, page, createModel);
  }

  /** What the panel shows now; the user may have picked other reports since it was opened. */
  get shown(): ShownReports {
    return this.model.shown;
  }

  reportInView(): Promise<string | null> {
    return this.model.reportInView();
  }
}
