import * as vscode from 'vscode';
import {
  IMAGE_EXTENSIONS,
  type ImageFolderCandidate,
  imageFolderCandidates,
  MODEL_DESCRIPTION,
  type ModelCandidate,
  modelCandidates,
} from '../candidates.ts';
import { workspaceFolders } from './settings.ts';

/** Searches stop after this many files: a quick pick must come up in a moment in any workspace. */
const MOST_MODELS = 50;
const MOST_IMAGES = 2000;

/** Folders that hold no models and no images of the user; checkpoints of runs are not models to start from. */
const EXCLUDED = '**/{node_modules,.git,.venv,venv,checkpoints}/**';

async function find(pattern: string, limit: number): Promise<string[]> {
  const found = await vscode.workspace.findFiles(pattern, EXCLUDED, limit);
  return found.filter(uri => uri.scheme === 'file').map(uri => uri.fsPath);
}

/** Annotation files that are named as COCO's panoptic ones are. */
export const findPanopticAnnotations = async (): Promise<string[]> =>
  (await find('**/*panoptic*.json', MOST_MODELS)).sort();

/** Lists of nouns, by what such files are called. */
export const findClassLists = async (): Promise<string[]> =>
  (await find('**/*{classes,categories,nouns,labels,words}*.{txt,json}', MOST_MODELS)).sort();

/** Models in the workspace. */
export async function findModels(): Promise<ModelCandidate[]> {
  const [weights, descriptions] = await Promise.all([
    find('**/*.safetensors', MOST_MODELS),
    find(`**/${MODEL_DESCRIPTION}`, MOST_MODELS),
  ]);
  return modelCandidates(weights, descriptions);
}

/** Folders of the workspace that hold images. */
export async function findImageFolders(): Promise<ImageFolderCandidate[]> {
  return imageFolderCandidates(await findImages(), workspaceFolders());
}

/** Images in the workspace, in the order of their paths. */
export async function findImages(): Promise<string[]> {
  const extensions = IMAGE_EXTENSIONS.flatMap(extension => [extension, extension.toUpperCase()]);
  return (await find(`**/*.{${extensions.join(',')}}`, MOST_IMAGES)).sort();
}
