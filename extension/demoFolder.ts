import { cp, readdir } from 'node:fs/promises';
import path from 'node:path';

/** The user's own copy of the demo's scenes. */
export interface DemoFolder {
  /** The workspace to open. */
  folder: string;
  /** Scenes without labels, to train on. */
  scenes: string;
  /** Regions of them that `clipself propose` found by colour alone, COCO-style. */
  proposals: string;
  /** COCO panoptic annotations of other scenes, with the folders of their images and of their PNG files. */
  annotations: string;
  images: string;
  masks: string;
}

/** Where the parts of a copy lie. */
export function demoFolderAt(folder: string): DemoFolder {
  const evaluation = path.join(folder, 'evaluation');
  return {
    folder,
    scenes: path.join(folder, 'scenes'),
    proposals: path.join(folder, 'proposals.json'),
    annotations: path.join(evaluation, 'panoptic.json'),
    images: path.join(evaluation, 'images'),
    masks: path.join(evaluation, 'panoptic'),
  };
}

/**
 * Copies the demo's scenes; what is there already, such as the runs of an earlier visit, stays as it is.
 *
 * @param source `workspace` of the demo assets.
 * @throws Error when the folder cannot be written.
 */
export async function prepareDemoFolder(source: string, folder: string): Promise<DemoFolder> {
  await cp(source, folder, { recursive: true, force: false });
  return demoFolderAt(folder);
}

/** Scenes to look at, in the order of their names. */
export async function sampleScenes({ images }: DemoFolder, most: number): Promise<string[]> {
  const names = (await readdir(images)).filter(name => name.endsWith('.jpg')).sort();
  return names.slice(0, most).map(name => path.join(images, name));
}
