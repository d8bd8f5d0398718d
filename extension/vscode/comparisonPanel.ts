import * as vscode from 'vscode';
import type { ComparisonState, MessageFromComparison } from '../../webview/comparison/protocol.ts';
import { isInside } from '../candidates.ts';
import { ComparisonPanelModel, type ComparisonSurroundings } from '../comparisonPanelModel.ts';
import { HostedPanel, setPanelIcon } from './hostedPanel.ts';
import { workspaceFolders } from './settings.ts';

/** What panels ask of the extension. */
export type ComparisonHost = { extensionUri: vscode.Uri } & Pick<
  ComparisonSurroundings,
  'service' | 'dialogues' | 'reportError'
>;

/** One comparison of runs. */
export class ComparisonPanel extends HostedPanel<MessageFromComparison, ComparisonPanelModel> {
  constructor(panel: vscode.WebviewPanel, state: ComparisonState, host: ComparisonHost) {
    setPanelIcon(panel, host.extensionUri);
    const page = { name: 'comparison', title: 'CLIPSelf comparison' } as const;
    const createModel = (post: (message: unknown) => void): ComparisonPanelModel =>
      new ComparisonPanelModel(state, {
        ...host,
        post,
        isTrusted: () => vscode.workspace.isTrusted,
        mayReadImage: file =>
          vscode.workspace.isTrusted || workspaceFolders().some(root => isInside(file, root)),
        titleChanged: title => {
          panel.title = `Compare: ${title}`;
        },
      });
    super(panel, host.extensionUri, page, createModel);
    this.keep(vscode.workspace.onDidGrantWorkspaceTrust(() => this.model.trustChanged()));
  }
}
