import path from 'node:path';

/** What the extension ships to try everything at once. */
export interface DemoAssets {
  /** A tiny model in the real checkpoint format. */
  model: string;
  /** Sample scenes. */
  images: string;
}

export function demoAssets(extensionFolder: string): DemoAssets {
  const folder = path.join(extensionFolder, 'media', 'demo');
  return { model: path.join(folder, 'model'), images: path.join(folder, 'images') };
}
