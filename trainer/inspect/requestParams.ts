import path from 'node:path';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { parseSegmentation } from '../dense/cocoMask.ts';
import { InspectError } from './inspectError.ts';
import {
  type AttentionParams,
  type ClusterSettings,
  type CropParams,
  type DescribeParams,
  type FeaturesParams,
  type InspectBox,
  type KMeansParams,
  type MapFileParams,
  type ModelReference,
  type NormsParams,
  type PatchesParams,
  type PcaParams,
  type ReadOut,
  type RegionsParams,
  readOuts,
  type WordsParams,
} from './protocol.ts';

/** Larger inputs are typing errors: their attention matrices alone would fill any memory. */
const largestSize = 16_384;
const mostKeys = 16;
const mostBoxes = 4_096;
const mostMasks = 1_000;
const mostGridSide = 64;
const mostWords = 1_000;
const longestWord = 500;

const bad = (message: string): InspectError => new InspectError('badRequest', message);

type Fields = Record<string, unknown>;

export function fieldsOf(params: unknown): Fields {
  if (!isJsonObject(params)) throw bad('The request has no parameters');
  return params;
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value === '') throw bad(`${name} must be text`);
  return value;
}

function absolutePath(fields: Fields, name: string): string {
  const file = text(fields, name);
  if (!path.isAbsolute(file) || file.includes('\0')) throw bad(`${name} must be an absolute path`);
  return file;
}

function integer(fields: Fields, name: string, least: number, most: number): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
    throw bad(`${name} must be a whole number from ${least} to ${most}`);
  return value;
}

function orNull<T>(fields: Fields, name: string, parse: () => T): T | null {
  return fields[name] === null || fields[name] === undefined ? null : parse();
}

function listOf<T>(fields: Fields, name: string, most: number, parse: (value: unknown) => T): T[] {
  const value = fields[name];
  if (!Array.isArray(value) || value.length === 0 || value.length > most)
    throw bad(`${name} must be a list of 1 to ${most}`);
  return value.map(parse);
}

function model(fields: Fields, name = 'model'): ModelReference {
  const value = fields[name];
  if (!isJsonObject(value)) throw bad(`${name} must be a model reference`);
  const { blend } = value;
  if (blend !== null && blend !== undefined && !(typeof blend === 'number' && blend >= 0 && blend <= 1))
    throw bad(`${name}.blend must be a number from 0 to 1`);
  return {
    path: absolutePath(value, 'path'),
    arch: orNull(value, 'arch', () => text(value, 'arch')),
    step: orNull(value, 'step', () => integer(value, 'step', 0, Number.MAX_SAFE_INTEGER)),
    blend: blend ?? null,
  };
}

function box(value: unknown): InspectBox {
  if (!Array.isArray(value) || value.length !== 4 || !value.every(edge => Number.isFinite(edge)))
    throw bad('a box must be four numbers: x0, y0, x1, y1');
  return value as InspectBox;
}

/** What every request about one image names. */
function imageAndSize(fields: Fields): { model: ModelReference; image: string; size: number } {
  return {
    model: model(fields),
    image: absolutePath(fields, 'image'),
    size: integer(fields, 'size', 1, largestSize),
  };
}

export const describeParams = (fields: Fields): DescribeParams => ({ model: model(fields) });

function readOut(fields: Fields): ReadOut {
  const found = readOuts.find(known => known === fields.readOut);
  if (!found) throw bad(`readOut must be one of ${readOuts.join(', ')}`);
  return found;
}

const layer = (fields: Fields): number | null =>
  orNull(fields, 'layer', () => integer(fields, 'layer', 1, 1_000));

export const normsParams = (fields: Fields): NormsParams => ({
  ...imageAndSize(fields),
  readOut: readOut(fields),
  layer: layer(fields),
});

export const featuresParams = (fields: Fields): FeaturesParams => ({
  ...normsParams(fields),
  clusters: orNull(fields, 'clusters', () => clusterSettings(fieldsOf(fields.clusters))),
});

const keys = (fields: Fields): string[] =>
  listOf(fields, 'keys', mostKeys, value => {
    if (typeof value !== 'string') throw bad('keys must be text');
    return value;
  });

const clusterSettings = (fields: Fields): ClusterSettings => ({
  k: integer(fields, 'k', 2, 64),
  seed: integer(fields, 'seed', 0, 2 ** 31 - 1),
  restarts: integer(fields, 'restarts', 1, 100),
  smooth: fields.smooth === true,
});

export const kMeansParams = (fields: Fields): KMeansParams => ({
  keys: keys(fields),
  ...clusterSettings(fields),
  reference: orNull(fields, 'reference', () => text(fields, 'reference')),
});

export const pcaParams = (fields: Fields): PcaParams => ({
  keys: keys(fields),
  highest: integer(fields, 'highest', 0, 63),
});

const teacher = (fields: Fields): ModelReference | null =>
  orNull(fields, 'teacher', () => model(fields, 'teacher'));

export const patchesParams = (fields: Fields): PatchesParams => ({
  ...imageAndSize(fields),
  teacher: teacher(fields),
  rows: integer(fields, 'rows', 1, mostGridSide),
  columns: integer(fields, 'columns', 1, mostGridSide),
  ...regionReading(fields),
});

const regionReading = (fields: Fields): { readOut: ReadOut; layer: number | null } => ({
  readOut: orNull(fields, 'readOut', () => readOut(fields)) ?? 'value',
  layer: layer(fields),
});

export function regionsParams(fields: Fields): RegionsParams {
  const boxes = listOf(fields, 'boxes', mostBoxes, box);
  const masks = orNull(fields, 'masks', () => regionMasks(fields, boxes.length));
  return {
    ...imageAndSize(fields),
    teacher: teacher(fields),
    boxes,
    ...(masks ? { masks } : {}),
    ...regionReading(fields),
  };
}

function regionMasks(fields: Fields, boxes: number): NonNullable<RegionsParams['masks']> {
  const masks = listOf(fields, 'masks', mostMasks, value => value);
  if (masks.length !== boxes) throw bad('masks must have one entry per box');
  return masks.map((value, index) => {
    if (value === null) return null;
    try {
      return parseSegmentation(value);
    } catch (error) {
      throw bad(`Region ${index + 1}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
}

export const attentionParams = (fields: Fields): AttentionParams => ({
  ...imageAndSize(fields),
  layer: integer(fields, 'layer', 1, 1_000),
  query: orNull(fields, 'query', () => integer(fields, 'query', 0, largestSize ** 2)),
});

export const mapFileParams = (fields: Fields): MapFileParams => ({ key: text(fields, 'key') });

export const cropParams = (fields: Fields): CropParams => ({
  model: model(fields),
  image: absolutePath(fields, 'image'),
  box: box(fields.box),
});

export function wordsParams(fields: Fields): WordsParams {
  const words = listOf(fields, 'words', mostWords, value => {
    if (typeof value !== 'string' || value.trim() === '' || value.length > longestWord)
      throw bad(`words must be text of 1 to ${longestWord} characters`);
    return value;
  });
  const { prompts } = fields;
  if (prompts !== 'ensemble' && prompts !== 'plain') throw bad('prompts must be ensemble or plain');
  const embeddings = orNull(fields, 'embeddings', () => absolutePath(fields, 'embeddings'));
  return { model: model(fields), words, prompts, embeddings };
}
