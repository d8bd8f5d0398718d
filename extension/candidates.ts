import path from 'node:path';

/** Names of the file that describes a model beside its weights. */
export const MODEL_DESCRIPTION = 'open_clip_config.json';

/** Image files that the trainer reads. */
export const IMAGE_EXTENSIONS = ['jpg', 'jpeg', 'png', 'webp', 'bmp', 'gif', 'tif', 'tiff'] as const;

/** A model that can be offered. */
export interface ModelCandidate {
  /** Weights file or model directory. */
  path: string;
  kind: 'directory' | 'file';
}

/**
 * Models among files found in a workspace: each directory with a description once, and every other weights file.
 *
 * @param weights Paths of weights files.
 * @param descriptions Paths of files named `open_clip_config.json`.
 */
export function modelCandidates(weights: string[], descriptions: string[]): ModelCandidate[] {
  const directories = new Set(descriptions.map(file => path.dirname(file)));
  const files = weights.filter(file => !directories.has(path.dirname(file)));
  return [
    ...[...directories].sort().map(directory => ({ path: directory, kind: 'directory' as const })),
    ...files.sort().map(file => ({ path: file, kind: 'file' as const })),
  ];
}

/** A folder that can be trained on. */
export interface ImageFolderCandidate {
  path: string;
  /** Images in it and below, among those that were found. */
  count: number;
}

/** Folders offered at most; beyond them there is “Browse…”. */
const MOST_FOLDERS = 30;

/**
 * Folders that hold images, the fullest first. A folder whose images all lie in one subfolder is left out: it would be the
 * same choice twice.
 *
 * @param images Paths of image files.
 * @param roots Workspace folders; nothing above them is offered.
 */
export function imageFolderCandidates(images: string[], roots: string[]): ImageFolderCandidate[] {
  const counts = new Map<string, number>();
  for (const image of images) {
    const root = roots.find(candidate => isInside(image, candidate));
    if (root === undefined) continue;
    for (let folder = path.dirname(image); ; folder = path.dirname(folder)) {
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
      if (folder === root || folder === path.dirname(folder)) break;
    }
  }
  const redundant = new Set<string>();
  for (const [folder, count] of counts) {
    const parent = path.dirname(folder);
    if (counts.get(parent) === count) redundant.add(parent);
  }
  return [...counts]
    .filter(([folder]) => !redundant.has(folder))
    .map(([folder, count]) => ({ path: folder, count }))
    .sort((a, b) => b.count - a.count || a.path.localeCompare(b.path))
    .slice(0, MOST_FOLDERS);
}

/** Whether `file` is `folder` or lies in it; neither needs to exist. */
export function isInside(file: string, folder: string): boolean {
  const relative = path.relative(folder, file);
  return (
    relative === '' ||
    (!relative.startsWith(`..${path.sep}`) && relative !== '..' && !path.isAbsolute(relative))
  );
}
