/** Dense features named by words: a map for each word, an arg-max segmentation, the nearest words of a feature. */

import { clusterPalette } from './colourMaps.ts';
import { dotProducts } from './dotProducts.ts';
import { type MapSize, toUnitRows, validCellIndices } from './featureMap.ts';
import type { Layer } from './overlay.ts';
import type { UnitMap } from './similarity.ts';

/** Words as directions in the joint embedding space, one row a word. */
export interface Words {
  readonly names: readonly string[];
  readonly dimension: number;
  /** [words, dimension], every row of unit norm. */
  readonly data: Float32Array;
}

/** A word that lies near a feature. */
export interface NearWord {
  /** Position in the list. */
  word: number;
  cosine: number;
}

/**
 * Cosine of every cell with every word.
 *
 * @returns [rows, columns, words], NaN on padding.
 */
export function wordCosines(map: UnitMap, words: Words): Float32Array {
  const { features, rows, columns, dimension, valid } = map;
  checkDimension(dimension, words);
  const count = words.names.length;
  const cosines = new Float32Array(rows * columns * count).fill(Number.NaN);
  // What lies right of the image is computed and taken away again: rows of a map follow each other in memory.
  dotProducts(features.subarray(0, valid.rows * columns * dimension), words.data, dimension, cosines);
  for (let row = 0; row < valid.rows && valid.columns < columns; row++)
    cosines.fill(Number.NaN, (row * columns + valid.columns) * count, (row + 1) * columns * count);
  return cosines;
}

/** The map of one word, [rows, columns], out of those of all. */
export function mapOfWord(cosines: Float32Array, count: number, word: number): Float32Array {
  return Float32Array.from({ length: cosines.length / count }, (_, cell) => cosines[cell * count + word]!);
}

/** The nearest word of each cell, [rows, columns]; the first of equals, −1 on padding. */
export function nearestWordLabels(cosines: Float32Array, count: number): Int16Array {
  return Int16Array.from({ length: cosines.length / count }, (_, cell) => {
    const start = cell * count;
    if (Number.isNaN(cosines[start]!)) return -1;
    let best = 0;
    for (let word = 1; word < count; word++) if (cosines[start + word]! > cosines[start + best]!) best = word;
    return best;
  });
}

/**
 * Softmax of the cosines over the words, divided by a temperature before it. CLIP was trained at about 0.01.
 *
 * @param temperature 0 gives all to the nearest word.
 * @returns [rows, columns, words], NaN on padding.
 */
export function wordProbabilities(cosines: Float32Array, count: number, temperature: number): Float32Array {
  const labels = nearestWordLabels(cosines, count);
  const result = new Float32Array(cosines.length);
  labels.forEach((best, cell) => {
    const start = cell * count;
    if (best < 0) result.fill(Number.NaN, start, start + count);
    else if (temperature === 0) result[start + best] = 1;
    else {
      const highest = cosines[start + best]!;
      let sum = 0;
      for (let word = start; word < start + count; word++)
        sum += result[word] = Math.exp((cosines[word]! - highest) / temperature);
      for (let word = start; word < start + count; word++) result[word]! /= sum;
    }
  });
  return result;
}

/** Share of the image that each word has: the mean of its probability over the cells that hold image. */
export function wordShares(probabilities: Float32Array, count: number, size: MapSize): number[] {
  const shares = new Array<number>(count).fill(0);
  const cells = validCellIndices(size);
  for (const cell of cells)
    for (let word = 0; word < count; word++) shares[word]! += probabilities[cell * count + word]!;
  return shares.map(share => share / cells.length);
}

/**
 * The segmentation as something to draw: flat colours of the nearest words at temperature 0, else the colours of all
 * words mixed by their probabilities.
 */
export function segmentationLayer(cosines: Float32Array, count: number, temperature: number): Layer {
  const labels = nearestWordLabels(cosines, count);
  if (temperature === 0)
    return { kind: 'labels', labels, colours: Array.from({ length: count }, (_, word) => word) };
  const probabilities = wordProbabilities(cosines, count, temperature);
  const rgb = new Uint8Array(labels.length * 3);
  labels.forEach((label, cell) => {
    if (label < 0) return;
    for (let channel = 0; channel < 3; channel++) {
      let mixed = 0;
      for (let word = 0; word < count; word++)
        mixed +=
          probabilities[cell * count + word]! * clusterPalette[(word * 3 + channel) % clusterPalette.length]!;
      rgb[cell * 3 + channel] = Math.round(mixed);
    }
  });
  return { kind: 'colours', rgb };
}

/**
 * The words nearest to a feature, best first.
 *
 * @param feature [dimension], unit norm.
 * @param count How many at most.
 */
export function nearestWords(feature: Float32Array, words: Words, count: number): NearWord[] {
  checkDimension(feature.length, words);
  return bestOf(
    dotProducts(feature, words.data, words.dimension, new Float32Array(words.names.length)),
    count,
  );
}

/** Positions of the highest cosines, best first; equals in their order. */
export function bestOf(cosines: ArrayLike<number>, count: number): NearWord[] {
  return Array.from(cosines, (cosine, word) => ({ word, cosine }))
    .sort((a, b) => b.cosine - a.cosine || a.word - b.word)
    .slice(0, count);
}

/**
 * The word nearest to the mean feature of each cluster; null for a cluster without cells.
 *
 * @param labels [rows, columns] as they are shown, −1 on padding.
 */
export function clusterWords(
  map: UnitMap,
  labels: ArrayLike<number>,
  clusters: number,
  words: Words,
): (NearWord | null)[] {
  const { features, dimension } = map;
  const sums = new Float64Array(clusters * dimension);
  const filled = new Set<number>();
  for (let cell = 0; cell < labels.length; cell++) {
    const label = labels[cell]!;
    if (label < 0) continue;
    filled.add(label);
    for (let channel = 0; channel < dimension; channel++)
      sums[label * dimension + channel]! += features[cell * dimension + channel]!;
  }
  const means = toUnitRows(Float32Array.from(sums), dimension);
  return Array.from({ length: clusters }, (_, cluster) => {
    if (!filled.has(cluster)) return null;
    return nearestWords(means.subarray(cluster * dimension, (cluster + 1) * dimension), words, 1)[0] ?? null;
  });
}

function checkDimension(dimension: number, words: Words): void {
  if (words.dimension !== dimension)
    throw new Error(`words of ${words.dimension} channels do not fit features of ${dimension}`);
}

/** Words as they are typed: separated by commas or line breaks, each once. */
export function parseWords(text: string): string[] {
  const words = text
    .split(/[,\r\n]+/)
    .map(word => word.trim())
    .filter(word => word !== '');
  return [...new Set(words)];
}
