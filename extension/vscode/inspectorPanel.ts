import path from 'node:path';
import * as vscode from 'vscode';
import type { MessageFromInspector } from '../../webview/inspector/protocol/messages.ts';
import { isInside } from '../candidates.ts';
import { InspectorPanelModel, type InspectorSurroundings } from '../inspectorPanelModel.ts';
import type { InspectorWishes } from '../inspectorState.ts';
import { HostedPanel, setPanelIcon } from './hostedPanel.ts';
import { workspaceFolders } from './settings.ts';

/** What panels ask of the extension. */
export type InspectorHost = { extensionUri: vscode.Uri } & Omit<
  InspectorSurroundings,
  'post' | 'isTrusted' | 'mayReadImage'
>;

/** One inspector panel, opened by the command or as an editor of an image. */
export class InspectorPanel extends HostedPanel<MessageFromInspector, InspectorPanelModel> {
  readonly images: readonly string[];

  constructor(
    panel: vscode.WebviewPanel,
    images: readonly string[],
    wishes: InspectorWishes,
    host: InspectorHost,
  ) {
    const page = { name: 'inspector', title: 'CLIPSelf inspector' } as const;
    const createModel = (post: (message: unknown) => void): InspectorPanelModel =>
      new InspectorPanelModel(images, wishes, {
        ...host,
        post,
        isTrusted: () => vscode.workspace.isTrusted,
        mayReadImage: file =>
          vscode.workspace.isTrusted || workspaceFolders().some(root => isInside(file, root)),
      });
    super(panel, host.extensionUri, page, createModel);
    this.images = images;
    this.keep(vscode.workspace.onDidGrantWorkspaceTrust(() => this.model.trustChanged()));
  }

  /** Brings the panel to the front and shows one of its images. */
  show(image: string, wishes: InspectorWishes): void {
    this.model.show(Math.max(0, this.images.indexOf(image)), wishes);
    this.reveal();
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
  setPanelIcon(panel, extensionUri);
}
