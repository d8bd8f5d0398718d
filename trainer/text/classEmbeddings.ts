import { FileError } from '../checkpoints/fileError.ts';
import { readNpy, writeNpy } from '../checkpoints/npyFile.ts';

/** Words in the joint embedding space, one row a class. */
export interface ClassEmbeddings {
  /** Channels of the joint embedding. */
  readonly dimension: number;
  /** Names of the classes, in the order of the rows. */
  readonly names: readonly string[];
  /** [classes, dimension], every row of unit norm. */
  readonly data: Float32Array;
}

/** 256 MiB of float32: ImageNet-21k's classes in 1,280 channels take 110. */
const maximumElements = 1 << 26;

/**
 * Divides each row by its norm, in place.
 *
 * @param rows [count, dimension]
 * @returns Index of the first row whose norm is zero or not finite, which stays as it is; -1 when there is none.
 */
export function normaliseRows(rows: Float32Array, dimension: number): number {
  let refused = -1;
  for (let start = 0; start < rows.length; start += dimension) {
    let squares = 0;
    for (let index = start; index < start + dimension; index++) squares += rows[index]! * rows[index]!;
    const norm = Math.sqrt(squares);
    if (!(norm > 0 && norm < Number.POSITIVE_INFINITY)) {
      if (refused < 0) refused = start / dimension;
      continue;
    }
    for (let index = start; index < start + dimension; index++) rows[index]! /= norm;
  }
  return refused;
}

/**
 * Reads class embeddings from a `.npy` file [classes, dimension] and normalises them.
 *
 * @param names Names of the classes, in the order of the rows.
 * @param dimension Channels that the model's embeddings have; null takes what the file has.
 * @throws FileError when the file is damaged, has other numbers of rows or channels, or a row without a direction.
 */
export async function readClassEmbeddings(
  file: string,
  names: readonly string[],
  dimension: number | null = null,
): Promise<ClassEmbeddings> {
  const { shape, data } = await readNpy(file, maximumElements);
  const advice =
    'Use the embeddings that belong to these classes and this model, in the order of the category ids';
  const refuse = (reason: string): never => {
    throw new FileError(file, reason, advice);
  };
  const [rows, channels] = shape;
  if (shape.length !== 2 || rows === undefined || channels === undefined || channels < 1)
    return refuse(`it holds an array of shape (${shape.join(', ')}), not [classes, dimension]`);
  if (rows !== names.length) return refuse(`it holds ${rows} rows for ${names.length} classes`);
  if (dimension !== null && channels !== dimension)
    return refuse(`its rows have ${channels} channels, but the model's embeddings have ${dimension}`);
  const refused = normaliseRows(data, channels);
  if (refused >= 0) return refuse(`row ${refused} ('${names[refused]}') is zero or not finite`);
  return { dimension: channels, names, data };
}

/**
 * Writes class embeddings as float32 `.npy` [classes, dimension]; names are not in it.
 *
 * @throws FileError when it cannot be written.
 */
export async function writeClassEmbeddings(file: string, embeddings: ClassEmbeddings): Promise<void> {
  const { names, dimension, data } = embeddings;
  await writeNpy(file, { shape: [names.length, dimension], data });
}
