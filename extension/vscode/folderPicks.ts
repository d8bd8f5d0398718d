import type * as vscode from 'vscode';
import { browseItem, type PathChoice, pathItem } from './fineTunePicks.ts';
import type { ChoiceItem } from './quickPicks.ts';
import { findImageFolders } from './workspaceFiles.ts';

const folderDialogue = (title: string): vscode.OpenDialogOptions => ({
  title,
  openLabel: 'Use This Folder',
  canSelectFiles: false,
  canSelectFolders: true,
});

/** The folders of images of the workspace, and the dialogue for another one, whose title is given. */
export async function folderItems(title: string): Promise<ChoiceItem<PathChoice>[]> {
  const found = await findImageFolders();
  return [
    ...found.map(({ path: folder }) => pathItem(folder, 'folder', 'in this workspace')),
    browseItem('Browse for a folder…', folderDialogue(title)),
  ];
}
