import path from 'node:path';

/** What the extension ships to try everything at once. */
export interface DemoAssets {
  /** A tiny CLIP that was trained on Emoji World. */
  model: string;
  /** Sample scenes. */
  images: string;
  /** Scenes of Emoji World to train and to evaluate on, to be copied: the extension's own folder is not written to. */
  workspace: string;
}

export function demoAssets(extensionFolder: string): DemoAssets {
  const folder = path.join(extensionFolder, 'media', 'demo');
  return {
    model: path.join(folder, 'model'),
    images: path.join(folder, 'images'),
    workspace: path.join(folder, 'workspace'),
  };
}
