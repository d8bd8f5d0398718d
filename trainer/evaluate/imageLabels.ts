import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { FileError, naming } from '../checkpoints/fileError.ts';
import { isJsonObject, readJson } from '../checkpoints/jsonFile.ts';
import { listImages, pathUnder } from '../images/imageFolder.ts';
import { isShardPattern } from '../shards/shardPattern.ts';
import type { EvaluatedClass } from './protocol.ts';

export interface LabelledImages {
  /** Absolute paths. */
  files: string[];
  /** The true class of each: its position. */
  truths: number[];
  /** Stands for files and classes, hex. */
  key: string;
}

const maximumBytes = 256 * 2 ** 20;
const advice = 'Use names of the evaluated classes: {"file": "class"}, or a folder with one folder a class';

/**
 * Reads which class whole images show: a JSON object of file and class, or a folder with a folder of images for each
 * class.
 *
 * @param images Folder that the files of a JSON lie in.
 * @throws FileError when it is neither, or names another class.
 */
export async function readImageLabels(
  source: string,
  images: string,
  classes: readonly EvaluatedClass[],
): Promise<LabelledImages> {
  const positions = new Map(classes.map(({ name }, position) => [name, position]));
  const isFolder = (await naming(source, 'read', () => stat(source))).isDirectory();
  const labels = isFolder ? await labelsOfFolder(source) : await labelsOfJson(source, images);
  if (labels.length === 0) throw new FileError(source, 'it labels no images', advice);
  const truths = labels.map(([file, name]) => {
    const position = positions.get(name);
    if (position === undefined)
      throw new FileError(
        source,
        `${path.basename(file)} has the class '${name}', which is not evaluated`,
        advice,
      );
    return position;
  });
  const key = createHash('sha256').update(JSON.stringify(labels)).digest('hex');
  return { files: labels.map(([file]) => file), truths, key };
}

const folderAdvice = 'Label whole images by a folder with one folder a class';

type Label = readonly [file: string, name: string];

async function labelsOfJson(source: string, images: string): Promise<Label[]> {
  if (isShardPattern(images))
    throw new FileError(source, 'it names files of a folder, but --images names shards', folderAdvice);
  const content = await readJson(source, maximumBytes);
  if (!isJsonObject(content)) throw new FileError(source, 'it is no object of files and classes', advice);
  return Object.entries(content).map(([file, name]): Label => {
    if (typeof name !== 'string') throw new FileError(source, `the class of '${file}' is no text`, advice);
    return [pathUnder(path.resolve(images), file, source), name];
  });
}

async function labelsOfFolder(folder: string): Promise<Label[]> {
  const entries = await naming(folder, 'read', () => readdir(folder, { withFileTypes: true }));
  const names = entries.filter(entry => entry.isDirectory() && !entry.name.startsWith('.'));
  const labels: Label[] = [];
  for (const { name } of names.sort((a, b) => (a.name < b.name ? -1 : 1)))
    for (const file of await listImages(path.join(folder, name))) labels.push([file, name]);
  return labels;
}
