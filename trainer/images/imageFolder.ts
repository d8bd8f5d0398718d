/** Which image files a training run uses: those of a folder, or those a COCO-style JSON names. */

import type { Dirent } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, extname, isAbsolute, join, relative, resolve, sep } from 'node:path';

export const imageExtensions = new Set(['.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff', '.gif']);

/** V8 cannot hold the text of a larger file in one string. */
const maximumJsonBytes = 511 * 2 ** 20;

export interface ImageListOptions {
  /** Folder that the file names of a JSON are relative to; by default the folder of the JSON. */
  imageRoot?: string;
}

/** Absolute paths of the images of a folder (searched recursively) or a COCO-style JSON, sorted by code units. */
export async function listImages(images: string, options: ImageListOptions = {}): Promise<string[]> {
  const path = resolve(images);
  const status = await stat(path).catch(() => null);
  if (status === null) throw new Error(`No such image folder: ${path}`);
  if (status.isDirectory()) return sortedOrFail(await imagesOfFolder(path), path);
  if (extname(path).toLowerCase() !== '.json') {
    throw new Error(`${path} is neither a folder of images nor a COCO-style .json file`);
  }
  return sortedOrFail(await imagesOfJson(path, status.size, options.imageRoot), path);
}

function sortedOrFail(files: string[], source: string): string[] {
  if (files.length === 0) throw new Error(`No images in ${source}: add JPEG or PNG files, or choose another`);
  return files.sort();
}

/** Follows symbolic links, each folder once. Hidden folders and node_modules are left out. */
async function imagesOfFolder(root: string): Promise<string[]> {
  const files: string[] = [];
  const visited = new Set<string>();
  const waiting = [root];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const identity = await realpath(folder);
    if (visited.has(identity)) continue;
    visited.add(identity);
    const folders: string[] = [];
    for (const entry of await readFolder(folder)) {
      if (entry.name.startsWith('.')) continue;
      const path = join(folder, entry.name);
      const kind = await kindOf(entry, path);
      if (kind === 'folder' && entry.name !== 'node_modules') folders.push(path);
      if (kind === 'file' && imageExtensions.has(extname(entry.name).toLowerCase())) files.push(path);
    }
    // Visiting in name order makes the choice between two paths of one linked folder deterministic.
    waiting.push(...folders.sort().reverse());
  }
  return files;
}

async function readFolder(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new Error(`The image folder ${folder} cannot be read (${reason})`);
  }
}

async function kindOf(entry: Dirent, path: string): Promise<'file' | 'folder' | 'other'> {
  if (entry.isDirectory()) return 'folder';
  if (entry.isFile()) return 'file';
  if (!entry.isSymbolicLink()) return 'other';
  const target = await stat(path).catch(() => null);
  if (target === null) return 'other';
  return target.isDirectory() ? 'folder' : target.isFile() ? 'file' : 'other';
}

async function imagesOfJson(path: string, bytes: number, imageRoot: string | undefined): Promise<string[]> {
  if (bytes > maximumJsonBytes) throw new Error(`${path} is larger than 511 MiB; use a folder of images`);
  const root = resolve(imageRoot ?? dirname(path));
  const names = fileNames(path, await readFile(path, 'utf8'));
  return [...new Set(names.map(name => pathUnder(root, name, path)))];
}

function fileNames(path: string, text: string): string[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not valid JSON (${(error as Error).message})`);
  }
  const images = (content as { images?: unknown } | null)?.images;
  if (!Array.isArray(images)) throw new Error(`${path} has no list "images" as COCO annotations have`);
  return images.map((image: unknown, index) => {
    const name = (image as { file_name?: unknown } | null)?.file_name;
    if (typeof name !== 'string' || name === '' || name.includes('\0')) {
      throw new Error(`${path}: images[${index}] has no file_name`);
    }
    return name;
  });
}

/** The file that a name of `source` stands for below `root`; refuses names that leave the folder. */
export function pathUnder(root: string, name: string, source: string): string {
  const file = resolve(root, name);
  const inside = relative(root, file);
  if (
    isAbsolute(name) ||
    inside === '' ||
    inside === '..' ||
    inside.startsWith(`..${sep}`) ||
    isAbsolute(inside)
  ) {
    throw new Error(`${source}: file_name ${JSON.stringify(name)} leaves the image folder ${root}`);
  }
  return file;
}
